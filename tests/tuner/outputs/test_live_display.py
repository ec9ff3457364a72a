"""Lines stay; a table is there on a terminal only, and goes away."""

from __future__ import annotations

import io

import pytest

from tuner.outputs import live_display
from tuner.outputs.live_display import Display


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_there_are_plain_lines_only() -> None:
    stream = io.StringIO()
    shown = Display(stream)
    shown.table(["trial 1  3 s"])
    shown.line("trial 1: 500")
    assert stream.getvalue() == "trial 1: 500\n"


def test_on_a_terminal_a_table_stands_below_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "11")
    stream = Terminal()
    shown = Display(stream)
    shown.table(["one", "a line that is too long"])
    shown.table(["not yet: too soon"])
    shown.line("stays")
    shown.table(["three"])
    shown.clear()
    assert stream.getvalue() == (
        "one\na line tha\n" "\x1b[2F\x1b[J" "stays\n" "three\n" "\x1b[1F\x1b[J"
    )  # fmt: skip


def test_a_table_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_display, "_EVERY", 0)
    stream = Terminal()
    shown = Display(stream)
    shown.table(["one"])
    shown.table(["two"])
    assert stream.getvalue() == "one\n\x1b[1F\x1b[Jtwo\n"
