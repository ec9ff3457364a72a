"""What a person sees, and what is kept from them.

More than 250 lines, since each thing that reaches the console has a short test.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pty
import select
import shutil
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminals import drawn
from trainer.outputs import progress_bar
from trainer.outputs.progress_bar import ConsoleReporter
from trainer.process import console
from trainer.process.console import (
    log_to_console,
    python_command,
    quiet_standard_error,
)

log = logging.getLogger("trainer")


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_bar.time, "monotonic", clock)
    return clock


@pytest.fixture(autouse=True)
def tensorflow_log_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")


def test_news_go_to_stdout_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_console()
    log.info("%d steps", 7)
    assert capsys.readouterr() == ("7 steps\n", "")


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR])
def test_trouble_goes_to_stderr_under_its_level(
    level: int, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_console()
    log.log(level, "no video")
    assert capsys.readouterr() == ("", f"{logging.getLevelName(level)}: no video\n")


def test_setting_up_twice_says_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_console()
    log_to_console()
    log.info("once")
    assert capsys.readouterr().out == "once\n"


def test_what_libraries_write_to_stderr_is_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_standard_error():
        os.write(2, b"from below Python\n")
    assert capfd.readouterr() == ("", "")


def test_stdout_is_left_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_standard_error():
        os.write(1, b"news\n")
    assert capfd.readouterr() == ("news\n", "")


def test_stderr_is_back_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_standard_error():
        os.write(2, b"noise\n")
    os.write(2, b"trouble\n")
    assert capfd.readouterr().err == "trouble\n"


def test_what_was_held_back_is_shown_if_it_may_explain_a_failure(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ImportError), quiet_standard_error():
        os.write(2, b"a library is missing\n")
        raise ImportError
    os.write(2, b"and on\n")
    assert capfd.readouterr().err == "a library is missing\nand on\n"


def test_no_file_descriptor_is_lost() -> None:
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        with quiet_standard_error():
            pass
    assert len(os.listdir("/dev/fd")) == before


def plain_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_there_is_at_most_one_plain_line_in_five_seconds(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trainer")
    reporter = ConsoleReporter(10_000)
    seconds = []
    for tick in range(1, 121):
        clock.now, before = 100 + tick / 4, len(caplog.records)
        reporter.steps(tick * 10)
        seconds += [tick / 4] * (len(caplog.records) - before)
    assert seconds == [5, 10, 15, 20, 25, 30]


def test_reports_of_a_score_keep_to_the_same_pace(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trainer")
    reporter = ConsoleReporter(10_000)
    for tick in range(1, 11):
        clock.now = 100 + tick
        reporter.steps(tick)
        reporter.report(tick, {"mean_score": 1.0})
    assert len(caplog.records) == 2


def test_a_plain_line_tells_steps_speed_score_and_time_left(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trainer")
    reporter = ConsoleReporter(50_000)
    reporter.report(5_000, {"mean_score": 21.36})
    clock.now += 10
    reporter.steps(10_000)
    assert plain_lines(caplog) == [
        "10,000 of 50,000 steps, 1000 steps/s, score 21.4, at most 40 s left"
    ]


def test_a_plain_line_before_the_first_step_is_no_division_by_zero(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trainer")
    reporter = ConsoleReporter(50_000)
    clock.now += 10
    reporter.steps(0)
    assert len(caplog.records) == 1


@contextlib.contextmanager
def terminal() -> Iterator[int]:
    """Makes stdout a terminal; the file descriptor that sees what appears on it."""
    screen, device = pty.openpty()
    termios.tcsetwinsize(device, (24, 100))
    with (
        os.fdopen(screen, "rb"),
        os.fdopen(device, "w") as stdout,
        contextlib.redirect_stdout(stdout),
    ):
        yield screen


def test_a_terminal_gets_one_bar_and_no_plain_lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "trainer")
    monkeypatch.setattr(ConsoleReporter, "SECONDS_BETWEEN_LINES", 0.0)
    with terminal() as screen:
        reporter = ConsoleReporter(50_000)
        reporter.steps(10_000)
        reporter.close()
        assert select.select([screen], [], [], 5)[0], "nothing appeared"
        shown = os.read(screen, 10_000).decode()
    assert "50.0k" in shown
    assert "\n" not in shown
    assert caplog.records == []


def test_without_a_terminal_there_is_no_bar(clock: Clock) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        reporter = ConsoleReporter(50_000)
        reporter.steps(10_000)
        reporter.close()
    assert stdout.getvalue() == ""


def test_the_python_to_type_is_python_where_that_is_the_one_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: sys.executable)
    assert python_command() == "python"


def test_the_python_to_type_is_named_by_its_path_where_the_shell_would_find_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/other/python")
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.chdir(tmp_path)
    assert python_command() == ".venv/bin/python"


def test_warnings_of_other_threads_get_through_while_libraries_are_quiet() -> None:
    program = (
        "import logging, os, threading\n"
        "from trainer.process.console import log_to_console, quiet_standard_error\n"
        "log_to_console()\n"
        "warn = lambda: logging.getLogger('trainer').warning('the bucket is gone')\n"
        "with quiet_standard_error():\n"
        "    os.write(2, b'noise')\n"
        "    thread = threading.Thread(target=warn); thread.start(); thread.join()\n"
        "warn()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == "WARNING: the bucket is gone\n" * 2


def test_on_a_terminal_lines_break_at_spaces_and_commands_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    with terminal() as screen:
        log_to_console()
        log.info("mean_score %s, mean of %s", 487.25, 491.125)
        log.info(
            "play    python -m trainer.play %s", "runs/cartpole", extra={console.COMMAND: True}
        )
        text = os.read(screen, 10_000).decode()
    assert text.splitlines() == [
        "mean_score 487.25,",
        "    mean of 491.125",
        "play    python -m trainer.play runs/cartpole",
    ]


def test_a_line_stands_above_the_bar() -> None:
    with terminal() as screen:
        log_to_console()
        reporter = ConsoleReporter(50_000)
        reporter.steps(10_000)
        log.info("half way")
        reporter.close()
        text = os.read(screen, 10_000).decode()
    shown = [line.strip() for line in drawn(text, 100) if line.strip()]
    assert shown == ["half way"]
