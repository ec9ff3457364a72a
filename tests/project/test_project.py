"""Files agree on versions, pins and executable scripts, and long modules say why they are long."""

import ast
import os
import re
from pathlib import Path

import pytest

import trainer
from tests.conftest import ROOT

LOCKS = (ROOT / "requirements").glob("*.txt")
FOLDERS = ("trainer", "tuner", "tests", "benchmarks", "scripts")
SCRIPTS = [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"]


def pins(name: str) -> dict[str, str]:
    """The requirements of a lock file: from `name==version` to the text up to the next one."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE | re.IGNORECASE)[1:]
    return {block.split()[0]: block for block in blocks}


def test_changelog_begins_with_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.+)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert versions[0] == trainer.__version__


def test_a_module_of_more_than_250_lines_says_why() -> None:
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    long = {path: text for path, text in texts.items() if len(text.splitlines()) > 250}
    reason = "More than 250 lines"
    docstrings = {path: ast.get_docstring(ast.parse(text)) or "" for path, text in long.items()}
    assert [path for path, docstring in docstrings.items() if reason not in docstring] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_can_be_run(script: Path) -> None:
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("name", sorted(path.name for path in LOCKS))
def test_every_requirement_is_pinned_and_has_a_hash(name: str) -> None:
    assert pins(name)
    for pin, block in pins(name).items():
        assert "==" in pin and "--hash=sha256:" in block, pin


def test_development_has_the_versions_that_training_has() -> None:
    assert pins("base.txt").keys() | pins("tuner.txt").keys() <= pins("dev.txt").keys()


def test_where_tests_spread_over_processes_those_of_a_file_stay_together(
    request: pytest.FixtureRequest,
) -> None:
    if not hasattr(request.config, "workerinput"):
        pytest.skip("needs several processes: scripts/test.sh")
    # pytest-xdist notes a test's group in its id, and a pytest that keeps ids spreads the group.
    assert request.node.nodeid.endswith("@tests/project/test_project.py")
