"""Trials run in parallel until there are no more, or a signal interrupts them."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import SUPPORT
from tests.support.waiting import reached
from tuner.execution import machine_faults, scheduler
from tuner.execution.local_trial import TrialSettings
from tuner.execution.processes import ProcessExecutor
from tuner.execution.scheduler import Executor, Interrupted, Interrupts, Scheduler
from tuner.execution.trial import FAILED, SUCCEEDED, Outcome, Trial
from tuner.execution.trial_command import Task

FAKE = SUPPORT / "fake_trainer.py"


class Executing(ProcessExecutor):
    """Runs the stand-in for the trainer, and remembers how trials ended."""

    def __init__(self, folder: Path, how: str) -> None:
        book = folder / "fake.json"
        book.write_text(json.dumps({"all": how}), encoding="utf-8")
        environment = {**os.environ, "FAKE": str(book)}
        super().__init__(
            TrialSettings([sys.executable, str(FAKE)], environment, "mean_score", "s", 60.0)
        )
        self.most, self.ended, self.refuses = 0, list[Outcome](), 0

    def submit(self, task: Task) -> Trial:  # type: ignore[override]
        if task.trial == self.refuses:
            raise OSError("no more processes")
        trial = super().submit(task)
        self.most = max(self.most, len(self.running))
        return trial

    def poll(self) -> list[tuple[Trial, Outcome]]:
        found = super().poll()
        self.ended += [outcome for _, outcome in found]
        return found


def run(made: Scheduler, tasks: list[Task]) -> dict[str, str]:
    left, found = list(tasks), {}

    def done(task: Task, outcome: Outcome) -> None:
        found[task.name] = outcome.state

    made.run(lambda: left.pop(0) if left else None, done)
    return found


def tasks(folder: Path, count: int) -> list[Task]:
    return [
        Task(f"trial {n}", n, folder / str(n), ("--job-dir", str(folder / str(n))))
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize("parallel", [1, 2, 3])
def test_parallel_sets_how_many_trials_run_at_a_time(tmp_path: Path, parallel: int) -> None:
    executor = Executing(tmp_path, "wait 0.3")
    made = Scheduler(executor, parallel, Interrupts())
    assert run(made, tasks(tmp_path, 4)) == {f"trial {n}": SUCCEEDED for n in range(1, 5)}
    assert executor.most == parallel


def interrupt(signals: list[int], after: Path) -> threading.Thread:
    def send() -> None:
        reached(after)
        for number in signals:
            os.kill(os.getpid(), number)
            time.sleep(0.1)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_after_the_first_ctrl_c_running_trials_end(tmp_path: Path) -> None:
    interrupts, notes, found = Interrupts(), [""], dict[str, str]()
    made = Scheduler(Executing(tmp_path, "wait 1"), 1, interrupts)
    thread = interrupt([signal.SIGINT], tmp_path / "1" / "starts")
    left = tasks(tmp_path, 3)
    with interrupts.handled(lambda: notes.append("heard")), pytest.raises(Interrupted) as raised:
        made.run(
            lambda: left.pop(0) if left else None,
            lambda task, outcome: found.update({task.name: outcome.state}),
        )
    thread.join()
    assert (found, notes[1:], raised.value.number) == ({"trial 1": SUCCEEDED}, ["heard"], 2)


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_after_the_second_they_are_stopped(tmp_path: Path, signals: list[int]) -> None:
    interrupts, executor = Interrupts(), Executing(tmp_path, "hang")
    made = Scheduler(executor, 2, interrupts)
    thread = interrupt(signals, tmp_path / "2" / "hangs")
    with interrupts.handled(lambda: None), pytest.raises(Interrupted) as raised:
        run(made, tasks(tmp_path, 3))
    thread.join()
    assert raised.value.number == signals[0]
    assert [outcome.exit_code for outcome in executor.ended] == [-signal.SIGTERM] * 2


def test_an_error_leaves_no_trial_running(tmp_path: Path) -> None:
    executor = Executing(tmp_path, "hang")
    executor.refuses = 2
    with pytest.raises(OSError, match="no more processes"):
        run(Scheduler(executor, 2, Interrupts()), tasks(tmp_path, 2))
    assert len(executor.ended) == 1


class Locked:
    """An executor whose trials find their folders locked `times` times, then succeed."""

    def __init__(self, times: int) -> None:
        self.left, self.submitted = times, list[Trial]()

    def submit(self, task: Task) -> Trial:
        self.submitted.append(Trial(task))
        return self.submitted[-1]

    def poll(self) -> list[tuple[Trial, Outcome]]:
        self.left -= 1
        fault = machine_faults.LOCKED if self.left >= 0 else ""
        state = FAILED if fault else SUCCEEDED
        return [(self.submitted[-1], Outcome(state, "", 0, (), 1.0, 1.0, (), fault))]

    def stop(self, trial: Trial, reason: str) -> None:
        raise AssertionError("nothing is to be stopped")

    def close(self) -> None:
        pass


def test_a_trial_waits_for_a_process_that_still_locks_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_LOCK_PAUSE", 0.0)
    executor = Locked(3)
    meets_protocol: Executor = executor
    assert run(Scheduler(meets_protocol, 1, Interrupts()), tasks(tmp_path, 1)) == {
        "trial 1": SUCCEEDED
    }
    assert len(executor.submitted) == 4


def test_a_folder_that_stays_locked_fails_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_LOCK_PATIENCE", 0.0)
    assert run(Scheduler(Locked(9), 1, Interrupts()), tasks(tmp_path, 1)) == {"trial 1": FAILED}
