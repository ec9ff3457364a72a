"""Permanent lines, and a live table on terminals only."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.terminals import Screen
from trainer.contract.text import wrapped
from tuner.outputs import live_display
from tuner.outputs.live_display import Display


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_display, "_EVERY", 0)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize("name", ["", "FORCE_COLOR", "TTY_COMPATIBLE"])  # as Jupyter does
def test_without_a_terminal_there_are_plain_lines_only(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name:
        monkeypatch.setenv(name, "1")
    stream = io.StringIO()
    shown = Display(stream)
    shown.table(["trial 1  3 s"])
    shown.line("trial 1: 500, " + "and so on, " * 20)
    assert stream.getvalue() == "trial 1: 500, " + "and so on, " * 20 + "\n"


def test_on_a_terminal_a_table_stays_below_the_lines() -> None:
    with Screen(columns=30, rows=8) as screen:
        shown = Display(screen.stream)
        shown.table(["one", "two"])
        assert screen.lines() == ["one", "two"]
        shown.line("stays")
        shown.table(["three"])
        assert screen.lines() == ["stays", "three"]
        shown.line("stays too")
        shown.clear()
        assert screen.lines() == ["stays", "stays too"]


def test_a_second_picture_comes_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_display, "_EVERY", 1e9)
    with Screen() as screen:
        shown = Display(screen.stream)
        shown.table(["one"])
        shown.table(["two"])
        assert screen.lines() == ["one"]


def test_a_terminal_that_cannot_move_its_cursor_gets_lines_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with Screen() as screen:
        shown = Display(screen.stream)
        shown.table(["one"])
        shown.line("stays")
        assert screen.lines() == ["stays"]


@pytest.mark.parametrize("columns", [20, 80])
def test_no_number_is_broken_over_two_lines(columns: int) -> None:
    words = [f"{number * 1234.5678:.7f}" for number in range(40)]
    with Screen(columns=columns, rows=40) as screen:
        shown = Display(screen.stream)
        shown.table([", ".join(words[:20])])
        assert re.findall(r"\d+\.\d+", "\n".join(screen.lines())) == words[:20]
        shown.clear()
        shown.line(", ".join(words))
        assert re.findall(r"\d+\.\d+", "\n".join(screen.lines())) == words


@given(st.text(alphabet="a1.-e ", max_size=200), st.integers(8, 100))
def test_wrapping_breaks_at_spaces_only(text: str, width: int) -> None:
    lines = wrapped(text, width).split("\n")
    assert " ".join(lines).split() == text.split()
    for line in lines:
        assert len(line) <= width or len(line.split()) <= 1
