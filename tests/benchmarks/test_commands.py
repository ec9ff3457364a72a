"""Benchmarks start, and the programs that they run in other processes import what exists."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys

import pytest

from benchmarks import bucket_costs
from tests.conftest import ROOT

COMMANDS = [
    path.stem
    for path in sorted((ROOT / "benchmarks").glob("*.py"))
    if path.read_text(encoding="utf-8").startswith('"""`python -m benchmarks.')
]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_benchmark_starts(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage:")


@pytest.mark.parametrize(
    "program", [bucket_costs.TIMED_TASK, bucket_costs.UPLOADS], ids=["timed", "uploads"]
)
def test_a_program_for_another_process_imports_what_exists(program: str) -> None:
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trainer."):
            module = importlib.import_module(node.module or "")
            assert not [name.name for name in node.names if not hasattr(module, name.name)]
