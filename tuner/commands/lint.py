"""The command `python -m tuner lint`: finds errors in search spaces, and how to fix them."""

from __future__ import annotations

import argparse

from trainer.contract.errors import FAILED, SUCCESS
from tuner.commands.errors import read
from tuner.spec import loader
from tuner.spec.diagnostics import Diagnostic, errors


def add_flags(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Checks search spaces in the format of AI Platform or of Vertex AI: prints what is wrong,"
        " where, and what to write instead."
    )
    command.add_argument("files", metavar="FILE", nargs="+", help="a yaml file")


def run(options: argparse.Namespace) -> int:
    """Prints one line per diagnostic."""
    diagnostics: list[Diagnostic] = []
    for file in options.files:
        found = loader.lint(read(file), file)
        print("\n".join(map(str, found)) or f"{file}: nothing to change")
        diagnostics += found
    return FAILED if errors(diagnostics) else SUCCESS
