"""Formats values, counts and words for messages."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable

LONGEST = 60  # characters of a value in a message


def shown(value: object) -> str:
    """`value` on one line: what cannot be printed is escaped, and a long text is cut."""
    text = str(value)
    cut = len(text) > LONGEST
    text = text[: LONGEST - 3] if cut else text
    if not text or not text.isprintable() or text != text.strip():
        text = ascii(text)
    return f"{text}..." if cut else text


def number(value: float) -> str:
    """A number as a person would write it: `0.01`, `8`."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else str(value)


def several(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def nearest(word: str, words: Iterable[str], cutoff: float = 0.8) -> str:
    """The one of `words` that `word` misspells, ignoring case; empty if there is none."""
    by_case = {known.lower(): known for known in words}
    near = difflib.get_close_matches(word[:100].lower(), by_case, 1, cutoff)
    return by_case[near[0]] if near else ""


def did_you_mean(word: str) -> str:
    """A question to follow a sentence; empty without a word."""
    return f" Did you mean {word}?" if word else ""


def score(value: float, *others: float) -> str:
    """A score, with decimals that suit it and the `others` beside it; zero has no sign."""
    largest = max(map(abs, (value, *others)))
    if largest >= 1e9:
        return f"{value:.5g}"
    decimals = 0 if largest >= 1e4 else 1 if largest >= 10 else 2 if largest > 1 else 4
    return f"{value:z.{decimals}f}"


def with_interval(value: float, low: float, high: float) -> str:
    """A score and its interval."""
    return f"{score(value, low, high)} [{score(low, value, high)}, {score(high, value, low)}]"


def wrapped(line: str, width: int) -> str:
    """Wraps a line at `width` columns, but not inside a word; continuation lines are indented."""
    if len(line) <= width:
        return line
    return textwrap.fill(
        line,
        width,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
