"""Diagnostics: what is wrong with a file, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from trainer.contract.errors import Error

ERROR, WARNING = "error", "warning"


class Location(NamedTuple):
    """A line and a column of a file; both count from 1, as editors do."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Diagnostic(NamedTuple):
    """One thing to change."""

    severity: str  # ERROR: a service or the trainer would refuse it; WARNING: a poor search
    location: Location
    message: str

    def __str__(self) -> str:
        """One line; unprintable characters are escaped."""
        text = f"{self.location}: {self.severity}: {self.message}"
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class InvalidSpec(Error):
    """A search space with errors."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = list(diagnostics)
        super().__init__("\n".join(map(str, self.diagnostics)))


def errors(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    return [diagnostic for diagnostic in diagnostics if diagnostic.severity == ERROR]
