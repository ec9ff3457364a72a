"""Runs share threads: which thread trains, finishes and ends them, and what they cost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.conftest import TIMEOUT
from tests.support.waiting import wait_until
from trainer.batch import scheduler
from trainer.batch.scheduler import Scheduler
from trainer.process.signals import Stopped
from trainer.training.loop import Step

STOPPED = Stopped(signal.SIGTERM)


class Run:
    """A run that learns once, is validated and scored; its files take as long as a test wants."""

    def __init__(self, number: int) -> None:
        self.agents, self.alone = 1, False
        self.id, self.cpu_seconds = number, 0.0
        self.exit_code: int | None = None
        self.stopping: Stopped | None = None
        self.state = self
        self.left = list(Step)
        self.begun, self.may_end = threading.Event(), threading.Event()

    @property
    def step(self) -> Step | None:
        return self.left[0] if self.left and self.exit_code is None else None

    def go_on(self, result: Any) -> None:
        self.left.pop(0)

    def go_on_alone(self) -> None:
        self.begun.set()
        assert self.may_end.wait(TIMEOUT)
        self.left.pop(0)

    def finish(self) -> None:
        self.begun.set()
        assert self.may_end.wait(TIMEOUT)
        self.exit_code = 0

    def end_if_stopped(self) -> None:
        if self.stopping is not None and self.exit_code is None:
            self.exit_code = self.stopping.exit_code

    def close(self) -> dict[str, Any]:
        return {"id": self.id, "exit_code": self.exit_code, "cpu_seconds": self.cpu_seconds}


class Programs:
    """Learn in no time, or as long as a test wants; remember which runs were in each call."""

    def __init__(self) -> None:
        self.calls: list[list[Run]] = []
        self.may_learn = threading.Event()
        self.may_learn.set()
        self.error: Exception | None = None

    def execute(self, step: Step, runs: list[Run]) -> list[None]:
        if step is Step.LEARN and runs:
            self.calls.append(runs)
            assert self.may_learn.wait(TIMEOUT)
            if self.error is not None:
                raise self.error
        return [None for _ in runs]


class Batch(NamedTuple):
    """A scheduler of two threads, and its answers."""

    scheduler: Scheduler
    programs: Programs
    answers: list[dict[str, Any]]

    def add(self, *numbers: int) -> list[Run]:
        runs = [Run(number) for number in numbers]
        for run in runs:
            self.scheduler.add(run)  # type: ignore[arg-type]
        return runs

    @property
    def exit_codes(self) -> dict[int, int]:
        return {answer["id"]: answer["exit_code"] for answer in self.answers}


@pytest.fixture
def batch() -> Iterator[Batch]:
    programs, answers = Programs(), list[dict[str, Any]]()
    found = Batch(Scheduler(2, programs, answers.append), programs, answers)  # type: ignore[arg-type]
    yield found
    found.programs.may_learn.set()
    found.scheduler.end_early(STOPPED)


def finishing(batch: Batch) -> list[Run]:
    """Five runs have been scored; the first is being finished."""
    runs = batch.add(*range(5))
    batch.scheduler.start()
    wait_until(lambda: any(run.begun.is_set() for run in runs))
    wait_until(lambda: len(batch.scheduler._scored) == 4)
    return sorted(runs, key=lambda run: not run.begun.is_set())


def end(batch: Batch, runs: list[Run]) -> None:
    for run in runs:
        run.may_end.set()
    batch.scheduler.close()
    batch.scheduler.wait()


def test_each_run_is_answered_once_and_the_end_comes_after_the_last(batch: Batch) -> None:
    runs = finishing(batch)
    end(batch, runs)
    assert sorted(answer["id"] for answer in batch.answers) == [0, 1, 2, 3, 4]
    assert set(batch.exit_codes.values()) == {0}


def test_threads_take_even_shares(batch: Batch) -> None:
    batch.programs.may_learn.clear()
    runs = batch.add(*range(5))
    batch.scheduler.start()
    wait_until(lambda: len(batch.programs.calls) == 2)
    assert sorted(len(call) for call in batch.programs.calls) == [2, 3]
    batch.programs.may_learn.set()
    end(batch, runs)


def test_a_run_that_cannot_share_programs_has_a_thread_of_its_own(batch: Batch) -> None:
    alone, *others = [Run(number) for number in range(3)]
    alone.alone = True
    for run in (alone, *others):
        batch.scheduler.add(run)  # type: ignore[arg-type]
    batch.scheduler.start()
    assert alone.begun.wait(TIMEOUT)
    for run in others:
        run.may_end.set()
    wait_until(lambda: len(batch.answers) == 2)
    assert batch.exit_codes == {1: 0, 2: 0}, "while it is still at work"
    end(batch, [alone])
    assert batch.exit_codes == {0: 0, 1: 0, 2: 0}


def test_a_run_that_waits_for_its_models_can_be_stopped_and_one_that_makes_them_cannot(
    batch: Batch,
) -> None:
    runs = finishing(batch)
    assert [run.begun.is_set() for run in runs] == [True] + 4 * [False], "one by one"
    for run in (runs[0], runs[3]):
        batch.scheduler.stop(run.id, STOPPED)
    wait_until(lambda: batch.exit_codes == {runs[3].id: 143})
    end(batch, runs)
    assert batch.exit_codes == {run.id: 143 if run is runs[3] else 0 for run in runs}
    assert not runs[3].begun.is_set()


def test_a_run_that_learns_is_stopped_after_its_call(batch: Batch) -> None:
    batch.programs.may_learn.clear()
    runs = batch.add(0, 1)
    batch.scheduler.start()
    wait_until(lambda: len(batch.programs.calls) == 2)
    batch.scheduler.stop(1, STOPPED)
    batch.programs.may_learn.set()
    wait_until(lambda: batch.exit_codes == {1: 143})
    end(batch, runs)
    assert batch.exit_codes == {0: 0, 1: 143}


def test_an_early_end_lets_the_run_that_makes_its_models_come_to_its_own(batch: Batch) -> None:
    runs = finishing(batch)
    threading.Timer(0.2, runs[0].may_end.set).start()
    batch.scheduler.end_early(STOPPED)
    batch.scheduler.wait()
    assert batch.exit_codes == {run.id: 0 if run is runs[0] else 143 for run in runs}


def test_runs_that_come_after_an_early_end_are_ended_too(batch: Batch) -> None:
    runs = finishing(batch)
    batch.scheduler.end_early(STOPPED)
    batch.add(5)
    assert batch.exit_codes[5] == 143
    end(batch, runs)


def test_a_run_is_stopped_while_all_threads_are_busy(batch: Batch) -> None:
    batch.programs.may_learn.clear()
    runs = batch.add(0, 1)
    batch.scheduler.start()
    wait_until(lambda: len(batch.programs.calls) == 2)
    runs += batch.add(2)
    batch.scheduler.stop(2, STOPPED)
    wait_until(lambda: batch.exit_codes == {2: 143})
    batch.programs.may_learn.set()
    end(batch, runs)


def test_a_run_that_cannot_share_programs_is_not_passed_by(batch: Batch) -> None:
    """Those before it in the queue go first, those behind it do not."""
    runs = [Run(number) for number in range(4)]
    runs[1].alone = True
    for run in runs:
        batch.scheduler.add(run)  # type: ignore[arg-type]
    taken = []
    while batch.scheduler._waiting:
        taken.append(batch.scheduler._take(batch.scheduler._share()))
    assert taken == [[runs[0], runs[2]], [runs[1]], [runs[3]]]
    batch.scheduler._training.clear()


def test_runs_learn_while_others_are_being_finished(batch: Batch) -> None:
    runs = finishing(batch)
    later = batch.add(5, 6)
    wait_until(lambda: all(run.step is None for run in later))
    assert batch.answers == []
    end(batch, [*runs, *later])
    assert batch.exit_codes == dict.fromkeys(range(7), 0)


def test_an_error_in_a_thread_ends_all(batch: Batch) -> None:
    """A worker that cannot go on is to die, for then its runs go on elsewhere."""
    batch.programs.error = MemoryError("no room")
    batch.add(0)
    batch.scheduler.start()
    with pytest.raises(MemoryError, match="no room"):
        batch.scheduler.wait()
    wait_until(lambda: all(thread.done() for thread in batch.scheduler._threads))


def test_runs_that_are_here_bear_all_of_the_processors_time_by_their_agents(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_cpu_seconds", lambda: 0.0)
    runs = batch.add(0, 1, 2)
    runs[2].agents = 2
    monkeypatch.setattr(scheduler, "_cpu_seconds", lambda: 8.0)
    ended = Run(3)
    ended.exit_code = 2
    batch.scheduler.add(ended)  # type: ignore[arg-type]
    assert [run.cpu_seconds for run in runs] == [1.6, 1.6, 3.2]
    assert batch.answers == [{"id": 3, "exit_code": 2, "cpu_seconds": 1.6}]
