"""Waits until something has come true, for as long as a busy machine may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tests.conftest import TIMEOUT

if TYPE_CHECKING:
    from tuner.execution.local_trial import LocalTrial
    from tuner.execution.trial import Outcome

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = TIMEOUT) -> T:
    """What the condition gives in the end."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return found


def reached(path: Path) -> None:
    """Waits for a file."""
    wait_until(path.exists)


def ended(trial: LocalTrial) -> Outcome:
    """How a trial ends."""
    outcome = wait_until(trial.poll)
    assert outcome is not None
    return outcome


def wait_for_report(trial: LocalTrial) -> None:
    """Waits for a trial's first report."""

    def reports() -> object:
        if not trial.measurements:
            assert trial.poll() is None
        return trial.measurements

    wait_until(reports)
