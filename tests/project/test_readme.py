"""The README says what is so."""

from __future__ import annotations

import dataclasses
import re

from tests.conftest import ROOT
from trainer.contract.presets import preset
from trainer.contract.settings import Hyperparameters, RunOptions

README = (ROOT / "README.md").read_text(encoding="utf-8")


def flag_table() -> str:
    """The table of flags as the README must have it."""
    for_pg = preset("pg", RunOptions.environment)
    rows = ["| flag | default | PG's | range | what it is |", "| --- | --- | --- | --- | --- |"]
    for kind in (Hyperparameters, RunOptions):
        for field in dataclasses.fields(kind):
            named = {"job_dir": "new, under `runs/`"}
            shown = str(field.default).lower() if field.type == "bool" else field.default
            default = named.get(field.name, f"`{shown}`")
            pg = for_pg.get(field.name, field.default)
            theirs = f"`{pg}`" if pg != field.default else ""
            limits = field.metadata["range"] or ", ".join(field.metadata["choices"])
            rows.append(
                f"| `--{field.name}` | {default} | {theirs} | {limits} | {field.metadata['help']} |"
            )
    return "\n".join(rows)


def test_the_flags_of_the_readme_are_the_flags_of_the_program() -> None:
    table = flag_table()
    assert table in README, f"put this into README.md:\n{table}"


def test_every_file_and_picture_that_the_readme_points_to_is_there() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert targets
    assert not missing


def test_every_module_that_the_readme_runs_is_there() -> None:
    modules = re.findall(r"python -m ((?:trainer|benchmarks)\.\w+)", README)
    assert modules
    for module in modules:
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists(), module
