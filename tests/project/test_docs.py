"""The site has every page, flag and field; the notebook was run and its outputs are stored."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from trainer.contract.settings import Hyperparameters, RunOptions
from trainer.environments import spec
from tuner.spec import study_spec

NOTEBOOK = ROOT / "notebooks" / "pg_and_a2c.ipynb"
sys.path.append(str(ROOT / "scripts" / "lib"))

import site_tables  # noqa: E402

PAGES = {
    page.name: page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md"))
}
CONFIGURATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def cells(kind: str) -> list[dict[str, Any]]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_every_page_is_in_the_navigation() -> None:
    navigation = set(re.findall(r"^- .+: (\S+\.md)$", CONFIGURATION, re.MULTILINE))
    assert navigation == PAGES.keys() | {"notebook.md", "contributing.md", "changelog.md"}


def test_the_page_of_flags_has_every_flag_and_its_default() -> None:
    page = site_tables.filled(PAGES["flags.md"])
    for field in (*dataclasses.fields(Hyperparameters), *dataclasses.fields(RunOptions)):
        (row,) = re.findall(rf"^\| `--{field.name}` \| .*$", page, re.MULTILINE)
        assert field.metadata["help"] in row
        if field.name not in ("job_dir", "overwrite", "video"):
            assert f"| `{field.default}` |" in row


def test_the_page_of_the_search_space_has_every_type_scale_and_field() -> None:
    page = site_tables.filled(PAGES["search-space.md"])
    words = {study_spec.DOUBLE, study_spec.INTEGER, study_spec.DISCRETE, study_spec.CATEGORICAL}
    words |= {study_spec.NO_SCALE, study_spec.LINEAR, study_spec.LOG, study_spec.REVERSE_LOG}
    assert not {word for word in words if f"`{word}`" not in page}
    for field in (
        "trainingInput.hyperparameters.params[].scaleType",
        "studySpec.parameters[].doubleValueSpec.maxValue",
        "trialJobSpec.workerPoolSpecs[].containerSpec.env[].name",
    ):
        assert f"| `{field}` |" in page


def test_a_field_is_listed_with_its_values() -> None:
    fields = dict(site_tables._fields({"a": {"b": ("X", "Y")}, "c": ["text"], "d": "anything"}))
    assert fields == {"a.b": "`X`, `Y`", "c[]": "a list of text", "d": site_tables.IGNORED}


def test_the_environment_that_the_docs_show_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = re.findall(r"^```python\n(.*?)^```", PAGES["environments.md"], re.M | re.S)
    (tmp_path / "corridor.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found = spec.find("corridor:Corridor", kwargs={"length": 12}, max_episode_steps=100)
    assert (found.observation_shape, found.num_actions, found.max_episode_steps) == ((12,), 2, 100)


def test_formulas_become_mathml_and_code_stays() -> None:
    pytest.importorskip("latex2mathml")
    from site_notebook import with_formulas

    text = with_formulas(r"$\gamma$, `$PWD`, $$x = 1$$")
    assert text.count("<math") == 2 and "`$PWD`" in text and r"\gamma" not in text
    assert text.count('display="block"') == 1


def test_the_notebook_was_run_from_top_to_bottom() -> None:
    ran = [cell["execution_count"] for cell in cells("code")]
    assert ran == [*range(1, len(ran) + 1)], "run scripts/notebook.py"


def test_the_notebook_s_outputs_have_no_errors_and_no_paths_of_the_machine() -> None:
    for cell in cells("code"):
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", output
            assert not re.search(r"/(tmp|home|root|Users)/", json.dumps(output))
    assert NOTEBOOK.stat().st_size < 1_500_000


def test_most_sections_of_the_notebook_have_a_picture() -> None:
    shown = json.dumps([cell["outputs"] for cell in cells("code")]).count('"image/png"')
    lines = [line for cell in cells("markdown") for line in "".join(cell["source"]).splitlines()]
    headings = sum(line.startswith("## ") for line in lines)
    assert shown > headings >= 9


def test_answers_are_hidden() -> None:
    for cell in cells("markdown"):
        text = "".join(cell["source"])
        assert (
            text.count("**Exercise") == text.count("<details><summary>") == text.count("</details>")
        )


@pytest.mark.notebook
@pytest.mark.filterwarnings("ignore")  # of Jupyter, about sockets and loops
def test_the_notebook_runs() -> None:
    """Its claims are assertions in it. Only what every run has in common is compared here."""
    import nbformat

    from scripts.notebook import executed

    kept = nbformat.read(NOTEBOOK, as_version=4)
    ran = executed(nbformat.read(NOTEBOOK, as_version=4))
    for before, after in zip(kept.cells, ran.cells, strict=True):
        assert before.source == after.source
        if before.cell_type == "code":
            pictures = [
                [o.output_type for o in cell.outputs if o.output_type == "display_data"]
                for cell in (before, after)
            ]
            assert pictures[0] == pictures[1], before.source


class _Links(HTMLParser):
    """The addresses that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"script": "src", "img": "src", "link": "href"}.get(tag)
        given = dict(attrs)
        if wanted and given.get("rel") not in ("canonical", "next", "prev"):
            self.loaded.append(given.get(wanted) or "")


def test_a_page_loads_nothing_from_a_network() -> None:
    built = ROOT / "site"
    if not (built / "index.html").exists():
        pytest.skip("scripts/docs.sh has not been run")
    for page in ("index.html", "notebook.html", "flags.html"):
        links = _Links()
        links.feed((built / page).read_text(encoding="utf-8"))
        assert links.loaded
        assert not [link for link in links.loaded if link.startswith(("http", "//"))]
