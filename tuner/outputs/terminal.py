"""What stdout can show: its width, and whether it has more than ASCII."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import NamedTuple

_PIPE = 80  # columns of a plot that goes to no terminal


class Screen(NamedTuple):
    """What is written to: lines of a pipe are as long as they are."""

    width: int
    wraps: bool
    blocks: bool  # whether it can show more than ASCII


def stdout() -> Screen:
    try:
        "●░│└─".encode(sys.stdout.encoding or "ascii")
        blocks = True
    except (UnicodeEncodeError, LookupError):
        blocks = False
    width = shutil.get_terminal_size((_PIPE, 24)).columns
    return Screen(max(width - 1, 10), sys.stdout.isatty(), blocks)


def wrapped(line: str, to: Screen) -> list[str]:
    """Plots fit already; text goes on in the next line, further in."""
    text = printable(line)
    if not to.wraps or len(text) <= to.width:
        return [text]
    return textwrap.wrap(
        text, to.width, subsequent_indent="    ", drop_whitespace=True, replace_whitespace=False
    )


def printable(text: str) -> str:
    """Text on one line, whatever characters a file has."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
