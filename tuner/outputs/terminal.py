"""Output to the terminal: lines wrapped at spaces to its width; not wrapped in a pipe."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table

from trainer.contract.text import wrapped

_PIPE = 10_000  # columns: nothing is broken or cut on its way into a pipe or a file
_FIRST = 9  # columns of the word that a line begins with


def console(file: TextIO | None = None) -> Console:
    """A console that writes plain text: no colours, no markup."""
    found = Console(
        file=file,
        width=_PIPE,
        height=25,  # else it takes 80 columns for a dumb terminal, and for a pipe from one
        color_system=None,
        force_terminal=_is_terminal(file or sys.stdout),
        highlight=False,
        markup=False,
        emoji=False,
    )
    fit(found)
    return found


def _is_terminal(file: TextIO | None) -> bool:
    """Whether it is a terminal. Ignores FORCE_COLOR, which Jupyter sets for its commands."""
    try:
        return file is not None and file.isatty()
    except ValueError:  # it is closed
        return False


def fit(console: Console) -> None:
    """Resizes a console to its terminal's current size; Rich assumes 80 columns for TERM=dumb."""
    if console.is_terminal:
        console.size = shutil.get_terminal_size()


def labelled(word: str, text: str) -> str:
    """A line that begins with a label; the texts of such lines are aligned."""
    return f"{word:<{_FIRST}}{text}".rstrip()


def write(console: Console, text: str) -> None:
    """Prints lines, wrapped at spaces only, so that numbers and paths are not split."""
    for line in text.split("\n"):
        console.print(wrapped(line, console.width), soft_wrap=True)


def printable(text: str) -> str:
    """Text on one line, with unprintable characters escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def table(console: Console, rows: Sequence[Sequence[str]], numbers: int = 0) -> list[str]:
    """Lines of a table without rules, the headers in its first row.

    Only the last column is wrapped, at spaces. If the terminal is too narrow, each row is a line.

    Args:
        numbers: how many of the columns are numbers, aligned to the right.
    """
    *widths, _ = ([len(cell) for cell in column] for column in zip(*rows, strict=True))
    words = [word for row in rows for word in row[-1].split()]
    if sum(max(width) + 2 for width in widths) + max(map(len, words), default=0) > console.width:
        return ["  ".join(filter(None, row)) for row in rows]
    found = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for index in range(len(widths)):
        found.add_column(no_wrap=True, justify="right" if index < numbers else "left")
    found.add_column()
    for row in rows:
        found.add_row(*row)
    with console.capture() as capture:
        console.print(found)
    return [line.rstrip() for line in capture.get().splitlines()]
