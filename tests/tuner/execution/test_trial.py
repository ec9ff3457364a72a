"""Trials in processes of their own, with a stand-in for the trainer."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import SUPPORT
from tests.support.waiting import ended, reached
from tuner.execution import process_lock
from tuner.execution.local_trial import LocalTrial, TrialSettings
from tuner.execution.processes import ProcessExecutor
from tuner.execution.trial import (
    FAILED,
    INFEASIBLE,
    LOCK,
    LOG,
    METRIC,
    STOPPED,
    STOPPED_EARLY,
    SUCCEEDED,
    judge,
)
from tuner.execution.trial_command import Task

FAKE = SUPPORT / "fake_trainer.py"


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., LocalTrial]:
    """Starts trial `number` with the behaviour `how`."""

    def start(how: str, number: int = 1, time_limit: float = 60.0) -> LocalTrial:
        book = tmp_path / "fake.json"
        book.write_text(json.dumps({"all": how}), encoding="utf-8")
        environment = {**os.environ, "FAKE": str(book)}
        setting = TrialSettings(
            [sys.executable, str(FAKE)], environment, "mean_score", "s", time_limit
        )
        folder = tmp_path / str(number)
        task = Task(f"trial {number}", number, folder, ("--job-dir", str(folder)))
        return ProcessExecutor(setting).submit(task)

    return start


def test_a_trial_that_ends_well(start: Callable[..., LocalTrial]) -> None:
    outcome = ended(start("succeed"))
    assert (outcome.state, outcome.reason, outcome.exit_code) == (SUCCEEDED, "", 0)
    assert outcome.measurements == ((10, 45.0), (20, 90.0))
    assert outcome.cpu_seconds > 0


class Unhurried:
    """What a trial runs in until somebody lets it end."""

    log_start, over = 0, False

    def ended(self, *, stopping: bool) -> tuple[int, float] | None:
        return (0, 0.0) if self.over else None

    def ask(self) -> float:
        return 0.0

    def kill(self) -> None:
        self.over = True


def test_a_report_that_a_coarse_clock_hides_is_read_in_the_end(tmp_path: Path) -> None:
    setting = TrialSettings([], {}, "mean_score", "s", 60.0)
    trial = LocalTrial(Task("trial 1", 1, tmp_path / "1", ()), setting, Unhurried())
    (tmp_path / "1").mkdir()
    file = tmp_path / "1" / METRIC
    for value in (45.0, 90.0):  # in as many bytes, at the same time
        file.write_text(f'{{"global_step": 10, "mean_score": {value}}}\n', encoding="utf-8")
        os.utime(file, ns=(0, 0))
        assert trial.poll() is None
    trial.runner.kill()
    outcome = trial.poll()
    assert outcome is not None and outcome.measurements == ((10, 90.0),)


@pytest.mark.parametrize(
    "how, state, reason, lines",
    [
        ("fail", FAILED, "exit code 1", ("I am to fail", "something", "went wrong")),
        ("die", FAILED, "signal 9 ended it: it was killed from outside", ("I am to die",)),
        ("diverge", INFEASIBLE, "it reported no finite value of the metric", ("I am to diverge",)),
        (
            *("report nothing", INFEASIBLE),
            *("it reported no finite value of the metric", ("I am to report nothing",)),
        ),
    ],
)
def test_a_trial_that_does_not(
    start: Callable[..., LocalTrial], how: str, state: str, reason: str, lines: tuple[str, ...]
) -> None:
    outcome = ended(start(how))
    assert (outcome.state, outcome.reason, outcome.last_lines) == (state, reason, lines)


def test_a_stopped_trial_keeps_its_reports(start: Callable[..., LocalTrial]) -> None:
    trial = start("hang")
    reached(trial.task.job_dir / "hangs")
    assert trial.poll() is None
    trial.stop(STOPPED_EARLY)
    outcome = ended(trial)
    assert (outcome.state, outcome.measurements) == (STOPPED, ((10, 50.0),))


def test_a_trial_that_ignores_signals_is_killed(
    start: Callable[..., LocalTrial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_lock, "GRACE", 0.2)
    trial = start("ignore signals")
    reached(trial.task.job_dir / "hangs")
    trial.stop(STOPPED_EARLY)
    outcome = ended(trial)
    assert (outcome.state, outcome.exit_code) == (STOPPED, -signal.SIGKILL)


def test_a_trial_has_a_time_limit(start: Callable[..., LocalTrial]) -> None:
    outcome = ended(start("hang", time_limit=0.3))
    assert (outcome.state, outcome.reason) == (FAILED, "it ran for more than 0.3 s")


def test_a_process_that_was_left_behind_is_ended_first(start: Callable[..., LocalTrial]) -> None:
    left = start("hang")
    reached(left.task.job_dir / "hangs")
    assert ended(start("succeed")).state == SUCCEEDED
    assert ended(left).exit_code == -signal.SIGTERM


def test_an_unknown_process_is_named_and_left_running(
    start: Callable[..., LocalTrial], tmp_path: Path
) -> None:
    (tmp_path / "1").mkdir()
    stranger = process_lock.lock(tmp_path / "1" / LOCK)
    with pytest.raises(process_lock.StillRunning, match=r"An unknown process holds .*trial"):
        start("succeed")
    os.close(stranger)
    assert ended(start("succeed")).state == SUCCEEDED


def test_a_second_start_shows_its_own_last_lines(start: Callable[..., LocalTrial]) -> None:
    assert ended(start("fail")).last_lines[0] == "I am to fail"
    outcome = ended(start("die"))
    assert outcome.last_lines == ("I am to die",)


def test_a_trial_that_ended_well_before_the_signal_has_succeeded() -> None:
    assert judge(0, True, STOPPED_EARLY) == (SUCCEEDED, "")
    assert judge(143, True, STOPPED_EARLY) == (STOPPED, STOPPED_EARLY)


def test_the_log_has_a_trials_output(start: Callable[..., LocalTrial], tmp_path: Path) -> None:
    ended(start("fail"))
    assert (tmp_path / "1" / LOG).read_text() == "I am to fail\nsomething\nwent wrong\n\n\n"
