"""Trials in processes of their own, with a stand-in for the trainer."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import SUPPORT
from tests.support.waiting import ended, reached
from tuner.execution import process_lock
from tuner.execution.scheduler import Engine, Interrupted, Interrupts
from tuner.execution.trial import (
    FAILED,
    INFEASIBLE,
    LOCK,
    LOG,
    LOST,
    METRIC,
    STOPPED,
    SUCCEEDED,
    Outcome,
    Setting,
    Trial,
    judge,
)
from tuner.execution.trial_command import Task

FAKE = SUPPORT / "fake_trainer.py"


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Trial]:
    """Starts trial `number`, which behaves as `how` says."""

    def start(how: str, number: int = 1, time_limit: float = 60.0) -> Trial:
        book = tmp_path / "fake.json"
        book.write_text(json.dumps({"all": how}), encoding="utf-8")
        environment = {**os.environ, "FAKE": str(book)}
        setting = Setting([sys.executable, str(FAKE)], environment, "mean_score", "s", time_limit)
        folder = tmp_path / str(number)
        return Trial(Task(f"trial {number}", number, folder, ("--job-dir", str(folder))), setting)

    return start


def test_a_trial_that_ends_well(start: Callable[..., Trial]) -> None:
    outcome = ended(start("succeed"))
    assert (outcome.state, outcome.reason, outcome.exit_code) == (SUCCEEDED, "", 0)
    assert outcome.measurements == ((10, 45.0), (20, 90.0))
    assert outcome.cpu_seconds > 0


class Unhurried:
    """What a trial runs in until somebody lets it end."""

    log_start, over = 0, False

    def __init__(self, task: Task, setting: Setting) -> None:
        (task.job_dir / LOG).touch()

    def ended(self, *, stopping: bool) -> tuple[int, float] | None:
        return (0, 0.0) if self.over else None

    def ask(self) -> float:
        return 0.0

    def kill(self) -> None:
        self.over = True


def test_a_report_that_a_coarse_clock_hides_is_read_in_the_end(tmp_path: Path) -> None:
    setting = Setting([], {}, "mean_score", "s", 60.0)
    trial = Trial(Task("trial 1", 1, tmp_path / "1", ()), setting, Unhurried)
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
        ("die", FAILED, "signal 9 ended it", ("I am to die",)),
        ("diverge", INFEASIBLE, "it reported no finite value of the metric", ("I am to diverge",)),
        (
            *("report nothing", INFEASIBLE),
            *("it reported no finite value of the metric", ("I am to report nothing",)),
        ),
    ],
)
def test_a_trial_that_does_not(
    start: Callable[..., Trial], how: str, state: str, reason: str, lines: tuple[str, ...]
) -> None:
    outcome = ended(start(how))
    assert (outcome.state, outcome.reason, outcome.last_lines) == (state, reason, lines)


def test_a_stopped_trial_keeps_its_reports(start: Callable[..., Trial]) -> None:
    trial = start("hang")
    reached(trial.task.job_dir / "hangs")
    assert trial.poll() is None
    trial.stop(LOST)
    outcome = ended(trial)
    assert (outcome.state, outcome.measurements) == (STOPPED, ((10, 50.0),))


def test_a_trial_that_hears_no_signal_is_killed(
    start: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_lock, "GRACE", 0.2)
    trial = start("ignore signals")
    reached(trial.task.job_dir / "hangs")
    trial.stop(LOST)
    outcome = ended(trial)
    assert (outcome.state, outcome.exit_code) == (STOPPED, -signal.SIGKILL)


def test_a_trial_has_so_much_time(start: Callable[..., Trial]) -> None:
    outcome = ended(start("hang", time_limit=0.3))
    assert (outcome.state, outcome.reason) == (FAILED, "it ran for more than 0.3 s")


def test_a_process_that_was_left_behind_is_ended_first(start: Callable[..., Trial]) -> None:
    left = start("hang")
    reached(left.task.job_dir / "hangs")
    assert ended(start("succeed")).state == SUCCEEDED
    assert ended(left).exit_code == -signal.SIGTERM


def test_a_stranger_in_the_folder_is_named_and_left_alone(
    start: Callable[..., Trial], tmp_path: Path
) -> None:
    (tmp_path / "1").mkdir()
    stranger = process_lock.lock(tmp_path / "1" / LOCK)
    with pytest.raises(process_lock.StillRunning, match="an unknown process holds trial"):
        start("succeed")
    os.close(stranger)
    assert ended(start("succeed")).state == SUCCEEDED


def test_a_second_start_shows_its_own_last_lines(start: Callable[..., Trial]) -> None:
    assert ended(start("fail")).last_lines[0] == "I am to fail"
    outcome = ended(start("die"))
    assert outcome.last_lines == ("I am to die",)


def test_a_trial_that_ended_well_before_the_signal_has_succeeded() -> None:
    assert judge(0, True, LOST) == (SUCCEEDED, "")
    assert judge(143, True, LOST) == (STOPPED, LOST)


def run(engine: Engine, tasks: list[Task]) -> dict[str, str]:
    left, found = list(tasks), {}

    def done(task: Task, outcome: Outcome) -> None:
        found[task.name] = outcome.state

    engine.run(lambda: left.pop(0) if left else None, done)
    return found


def tasks(count: int) -> list[Task]:
    return [Task(f"trial {n}", n, Path(), ()) for n in range(1, count + 1)]


@pytest.mark.parametrize("parallel", [1, 2, 3])
def test_so_many_trials_run_side_by_side(start: Callable[..., Trial], parallel: int) -> None:
    most: list[int] = []
    made = Engine(
        lambda task: start("wait 0.3", task.trial),
        parallel,
        Interrupts(),
        lambda running: most.append(len(running)),
    )
    assert run(made, tasks(4)) == {f"trial {n}": SUCCEEDED for n in range(1, 5)}
    assert max(most) == parallel


def interrupt(signals: list[int], after: Path) -> threading.Thread:
    def send() -> None:
        reached(after)
        for number in signals:
            os.kill(os.getpid(), number)
            time.sleep(0.1)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_after_the_first_ctrl_c_running_trials_end(
    start: Callable[..., Trial], tmp_path: Path
) -> None:
    interrupts, notes, found = Interrupts(), [""], dict[str, str]()
    made = Engine(lambda task: start("wait 1", task.trial), 1, interrupts)
    thread = interrupt([signal.SIGINT], tmp_path / "1" / "starts")
    left = tasks(3)
    with interrupts.heard(lambda: notes.append("heard")), pytest.raises(Interrupted) as raised:
        made.run(
            lambda: left.pop(0) if left else None,
            lambda task, outcome: found.update({task.name: outcome.state}),
        )
    thread.join()
    assert (found, notes[1:], raised.value.number) == ({"trial 1": SUCCEEDED}, ["heard"], 2)


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_after_the_second_they_are_ended(
    start: Callable[..., Trial], tmp_path: Path, signals: list[int]
) -> None:
    interrupts, started = Interrupts(), list[Trial]()

    def launch(task: Task) -> Trial:
        started.append(start("hang", task.trial))
        return started[-1]

    made = Engine(launch, 2, interrupts)
    thread = interrupt(signals, tmp_path / "2" / "hangs")
    with interrupts.heard(lambda: None), pytest.raises(Interrupted) as raised:
        run(made, tasks(3))
    thread.join()
    assert raised.value.number == signals[0]
    assert [ended(trial).exit_code for trial in started] == [-signal.SIGTERM] * 2


def test_an_error_leaves_no_trial_running(start: Callable[..., Trial], tmp_path: Path) -> None:
    started: list[Trial] = []

    def launch(task: Task) -> Trial:
        if task.trial == 2:
            raise OSError("no more processes")
        started.append(start("hang", task.trial))
        return started[-1]

    with pytest.raises(OSError, match="no more processes"):
        run(Engine(launch, 2, Interrupts()), tasks(2))
    assert started[0].poll() is not None


def test_the_log_holds_what_a_trial_said(start: Callable[..., Trial], tmp_path: Path) -> None:
    ended(start("fail"))
    assert (tmp_path / "1" / LOG).read_text() == "I am to fail\nsomething\nwent wrong\n\n\n"
