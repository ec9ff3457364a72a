"""What is wrong with a file, where it stands, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trainer.contract.errors import Error

ERROR, WARNING = "error", "warning"


class Place(NamedTuple):
    """A spot in a file. Lines and columns count from 1, as editors do."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Finding(NamedTuple):
    """One thing to change."""

    severity: str  # ERROR: a service or the trainer would refuse it; WARNING: a poor search
    place: Place
    message: str

    def __str__(self) -> str:
        """One line, whatever characters the file and its names have."""
        text = f"{self.place}: {self.severity}: {self.message}"
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class Refused(Error):
    """A file that cannot be used; `findings` say why."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = list(findings)
        super().__init__("\n".join(map(str, self.findings)))


def errors(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == ERROR]


def shown(value: object) -> str:
    """`value` on one line, however long or strange it is."""
    text = str(value)
    if not text or not text.isprintable() or text != text.strip():
        text = ascii(text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def did_you_mean(word: str, words: Sequence[str]) -> str:
    """` Did you mean x?`, or nothing where no word is near; case does not count."""
    by_case = {known.lower(): known for known in words}
    near = difflib.get_close_matches(word[:100].lower(), by_case, 1)
    return f" Did you mean {by_case[near[0]]}?" if near else ""


def several(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def number(value: float) -> str:
    """A number as one would write it: `0.01`, `8`."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else str(value)
