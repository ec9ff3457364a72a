"""Turns errors into exit codes, and reads and writes the files that a command names."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from trainer.contract import streams
from trainer.contract.errors import FAILED, SUCCESS, BadCommand, Error
from trainer.contract.text import shown
from trainer.storage import files
from tuner.spec.diagnostics import InvalidSpec, errors

INTERRUPTED = 130


def exit_code(command: Callable[[], int]) -> int:
    """Runs a command; prints its `Error` and returns the error's exit code."""
    try:
        return command()
    except InvalidSpec as invalid:
        for diagnostic in errors(invalid.diagnostics):
            print(diagnostic, file=sys.stderr)
        return invalid.exit_code
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED


def printed(text: str) -> int:
    """Prints a command's output; the exit code is FAILED if it could not be written completely."""
    print(text, flush=True)
    return FAILED if streams.refused() else SUCCESS


def read(file: str) -> bytes:
    """The content of a file that the command names. Raises BadCommand."""
    try:
        return files.read(Path(file))
    except (OSError, ValueError) as error:
        raise BadCommand(f"{shown(file)} could not be read: {why(error)}.") from error


def write(file: str, text: str) -> None:
    """Writes a file that the command names. Raises BadCommand."""
    try:
        Path(file).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BadCommand(f"{shown(file)} could not be written: {why(error)}.") from error


def why(error: OSError | ValueError) -> str:
    """The reason, without numbers and paths."""
    return str(getattr(error, "strerror", None) or error)
