"""Signals, sent to small processes of their own.

More than 250 lines, since each test holds the text of the process that it sends signals to.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import Any

import pytest

START = """
import signal, sys, time
from trainer.process import signals
from trainer.process.signals import Stopped, handled, held

def say(text):
    print(text, flush=True)

def wait():
    while True:
        time.sleep(0.01)

"""
TERM, INT = signal.SIGTERM, signal.SIGINT


class Script:
    """A running script; `told` is what it has said so far."""

    def __init__(self, text: str) -> None:
        self.told: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", START + textwrap.dedent(text)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def until(self, word: str) -> None:
        """Waits for it to say that."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(line.strip())
            if self.told[-1] == word:
                return
        raise AssertionError(f"it ended after {self.told} without {word}")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def code(self, within: float = 20.0) -> int:
        """Its exit code, and all that it said in `told`."""
        rest, _ = self.process.communicate(timeout=within)
        self.told += rest.splitlines()
        return self.process.returncode


@pytest.fixture
def scripts() -> Iterator[Any]:
    running: list[Script] = []

    def run(text: str) -> Script:
        running.append(Script(text))
        return running[-1]

    yield run
    for script in running:
        script.process.kill()
        script.process.communicate()


ENDS_WELL = """
try:
    with handled():
        say("ready")
        wait()
except Stopped as stopped:
    say("stopped")
    sys.exit(stopped.exit_code)
"""


@pytest.mark.parametrize("number, code", [(TERM, 143), (INT, 130)])
def test_the_first_signal_is_raised_and_names_the_exit_code(
    number: int, code: int, scripts: Any
) -> None:
    script = scripts(ENDS_WELL)
    script.until("ready")
    script.send(number)
    assert script.code() == code
    assert script.told == ["ready", "stopped"]


def test_a_library_cannot_mistake_it_for_an_error_of_its_own(scripts: Any) -> None:
    script = scripts("""
        try:
            with handled():
                try:
                    say("ready")
                    wait()
                except Exception:
                    say("swallowed")
        except Stopped:
            say("stopped")
    """)
    script.until("ready")
    script.send(TERM)
    assert (script.code(), script.told) == (0, ["ready", "stopped"])


def test_what_is_held_ends_before_the_signal_is_raised(scripts: Any) -> None:
    script = scripts("""
        try:
            with handled():
                with held():
                    say("ready")
                    time.sleep(0.5)
                    say("done")
                say("too far")
        except Stopped as stopped:
            sys.exit(stopped.exit_code)
    """)
    script.until("ready")
    script.send(TERM)
    assert (script.code(), script.told) == (143, ["ready", "done"])


def test_the_outermost_of_nested_holds_counts(scripts: Any) -> None:
    script = scripts("""
        try:
            with handled():
                with held():
                    with held():
                        say("ready")
                        time.sleep(0.5)
                    say("inner done")
                say("too far")
        except Stopped as stopped:
            sys.exit(stopped.exit_code)
    """)
    script.until("ready")
    script.send(TERM)
    assert (script.code(), script.told) == (143, ["ready", "inner done"])


def test_a_hold_without_a_signal_changes_nothing(scripts: Any) -> None:
    script = scripts("""
        with handled():
            for _ in range(3):
                with held():
                    pass
            say("done")
    """)
    assert (script.code(), script.told) == (0, ["done"])


def test_an_error_in_what_is_held_comes_through(scripts: Any) -> None:
    script = scripts("""
        try:
            with handled(), held():
                say("ready")
                time.sleep(0.5)
                raise OSError("disk full")
        except OSError as error:
            say(str(error))
    """)
    script.until("ready")
    script.send(TERM)
    assert (script.code(), script.told) == (0, ["ready", "disk full"])


def test_there_is_time_to_save_after_the_first_signal(scripts: Any) -> None:
    script = scripts("""
        try:
            with handled():
                try:
                    say("ready")
                    wait()
                except Stopped:
                    time.sleep(1)
                    say("saved")
                    raise
        except Stopped as stopped:
            sys.exit(stopped.exit_code)
    """)
    script.until("ready")
    script.send(TERM)
    assert (script.code(), script.told) == (143, ["ready", "saved"])


@pytest.mark.parametrize(
    "first, second, code", [(TERM, TERM, 143), (TERM, INT, 143), (INT, INT, 130)]
)
@pytest.mark.parametrize(
    "busy",
    ["time.sleep(60)", "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"],
    ids=["asleep", "in a library"],
)
def test_the_second_signal_ends_the_process_at_once_wherever_it_is(
    busy: str, first: int, second: int, code: int, scripts: Any
) -> None:
    script = scripts(f"""
        with handled(), held():
            say("ready")
            {busy}
    """)
    script.until("ready")
    script.send(first)
    time.sleep(0.2)  # two of the same at once are one
    assert script.process.poll() is None
    script.send(second)
    assert script.code(within=5) == code


def test_the_second_signal_ends_what_the_first_has_begun(scripts: Any) -> None:
    script = scripts("""
        with handled():
            try:
                say("ready")
                wait()
            except Stopped:
                say("saving")
                wait()
    """)
    script.until("ready")
    script.send(TERM)
    script.until("saving")
    script.send(TERM)
    assert script.code(within=5) == 143


def test_a_process_that_does_not_end_is_ended_after_a_while(scripts: Any) -> None:
    script = scripts("""
        signals.GRACE = 0.3
        with handled(), held():
            say("ready")
            time.sleep(60)
    """)
    script.until("ready")
    script.send(TERM)
    assert script.code(within=5) == 143


def test_the_while_begins_with_the_first_signal_and_other_signals_are_none(scripts: Any) -> None:
    script = scripts("""
        signal.signal(signal.SIGUSR1, lambda number, frame: say("heard"))
        signals.GRACE = 1.5
        with handled(), held():
            say("ready")
            time.sleep(60)
    """)
    script.until("ready")
    script.send(signal.SIGUSR1)
    script.until("heard")
    script.send(TERM)
    sent = time.monotonic()
    for _ in range(3):
        script.send(signal.SIGUSR1)
        script.until("heard")
        time.sleep(0.2)
    assert script.code(within=10) == 143
    assert time.monotonic() - sent > 1.4


def test_nothing_is_left_of_it_afterwards(scripts: Any) -> None:
    script = scripts("""
        import threading
        before = [signal.getsignal(n) for n in signals.SIGNALS]
        try:
            with handled():
                say("ready")
                wait()
        except Stopped:
            pass
        assert before == [signal.getsignal(n) for n in signals.SIGNALS]
        assert signal.set_wakeup_fd(-1) == -1
        for thread in threading.enumerate():
            if thread.name == "signals":
                thread.join(5)
                assert not thread.is_alive()
        say("clean")
        wait()
    """)
    script.until("ready")
    script.send(TERM)
    script.until("clean")
    script.send(TERM)
    assert script.code() == -TERM  # as of any process that handles nothing


def test_the_handlers_come_back_after_an_error_too(scripts: Any) -> None:
    script = scripts("""
        before = [signal.getsignal(n) for n in signals.SIGNALS]
        try:
            with handled():
                raise OSError
        except OSError:
            assert before == [signal.getsignal(n) for n in signals.SIGNALS]
            say("clean")
    """)
    assert (script.code(), script.told) == (0, ["clean"])


def test_there_is_less_than_the_ten_seconds_that_docker_gives() -> None:
    from trainer.process import signals

    assert signals.GRACE < 10
