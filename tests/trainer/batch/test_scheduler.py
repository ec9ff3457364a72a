"""Runs share threads: who takes which, who finishes them, who ends them, who bears the costs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.conftest import TIMEOUT
from tests.support.waiting import wait_until
from trainer.batch import scheduler
from trainer.batch.scheduler import Lanes
from trainer.process.signals import Stopped

STOPPED = Stopped(signal.SIGTERM)


class Progress:
    """One evaluation away from the end."""

    def __init__(self) -> None:
        self.learning = self.training = np.array([True])
        self.to_score = np.array([False])

    def record(self, scores: Any) -> None:
        self.training = np.array([False])


class Run:
    """What lanes ask a run for."""

    def __init__(self) -> None:
        self.progress = Progress()

    def keep(self, evaluation: Any) -> None:
        pass


class Member:
    """A run whose steps take as long as a test wants."""

    def __init__(self, number: int) -> None:
        self.agents, self.alone = 1, False
        self.id, self.cpu_seconds = number, 0.0
        self.exit_code: int | None = None
        self.stopping: Stopped | None = None
        self.run, self.session = Run(), self
        self.begun, self.may_end = threading.Event(), threading.Event()

    def attempt(self, work: Callable[[], object]) -> None:
        if self.exit_code is None:
            work()

    def on_round(self) -> None:
        pass

    def on_evaluation(self, evaluation: Any) -> None:
        pass

    def trained(self) -> None:
        pass

    def score(self, greedy: Any, sampled: Any) -> None:
        pass

    def carry_out(self) -> None:
        self.finish()

    def finish(self) -> None:
        self.begun.set()
        assert self.may_end.wait(TIMEOUT)
        self.exit_code = 0

    def end_if_asked(self) -> None:
        if self.stopping is not None:
            self.exit_code = self.stopping.exit_code

    def close(self) -> dict[str, Any]:
        return {"id": self.id, "exit_code": self.exit_code, "cpu_seconds": self.cpu_seconds}


class Stack:
    """Learns in no time, or as long as a test wants; remembers who was in each call."""

    def __init__(self) -> None:
        self.calls: list[list[Run]] = []
        self.may_learn = threading.Event()
        self.may_learn.set()
        self.fault: Exception | None = None

    def learn(self, runs: list[Run]) -> None:
        self.calls.append(runs)
        assert self.may_learn.wait(TIMEOUT)
        if self.fault is not None:
            raise self.fault
        for run in runs:
            run.progress.learning = np.array([False])

    def validate(self, runs: list[Run]) -> list[Any]:
        return [np.ones((1, 2)) for _ in runs]

    def score(self, runs: list[Run]) -> tuple[list[Any], list[Any]]:
        return self.validate(runs), self.validate(runs)


class Place(NamedTuple):
    """Two lanes, and what comes out."""

    lanes: Lanes
    stack: Stack
    answers: list[dict[str, Any]]

    def add(self, *numbers: int) -> list[Member]:
        members = [Member(number) for number in numbers]
        for member in members:
            self.lanes.add(member)  # type: ignore[arg-type]
        return members

    @property
    def exit_codes(self) -> dict[int, int]:
        return {answer["id"]: answer["exit_code"] for answer in self.answers}


@pytest.fixture
def place() -> Iterator[Place]:
    stack, answers = Stack(), list[dict[str, Any]]()
    found = Place(Lanes(2, stack, answers.append), stack, answers)  # type: ignore[arg-type]
    yield found
    found.stack.may_learn.set()
    found.lanes.end_early(STOPPED)


def finishing(place: Place) -> list[Member]:
    """Five runs have been scored; the first is being finished."""
    runs = place.add(*range(5))
    place.lanes.start()
    wait_until(lambda: any(run.begun.is_set() for run in runs))
    wait_until(lambda: len(place.lanes._scored) == 4)
    return sorted(runs, key=lambda run: not run.begun.is_set())


def end(place: Place, runs: list[Member]) -> None:
    for run in runs:
        run.may_end.set()
    place.lanes.close()
    place.lanes.wait()


def test_each_run_is_answered_once_and_the_end_comes_after_the_last(place: Place) -> None:
    runs = finishing(place)
    end(place, runs)
    assert sorted(answer["id"] for answer in place.answers) == [0, 1, 2, 3, 4]
    assert set(place.exit_codes.values()) == {0}


def test_lanes_take_even_shares(place: Place) -> None:
    place.stack.may_learn.clear()
    runs = place.add(*range(5))
    place.lanes.start()
    wait_until(lambda: len(place.stack.calls) == 2)
    assert sorted(len(call) for call in place.stack.calls) == [2, 3]
    place.stack.may_learn.set()
    end(place, runs)


def test_a_run_that_can_be_in_no_stack_has_a_lane_of_its_own(place: Place) -> None:
    alone, *others = [Member(number) for number in range(3)]
    alone.alone = True
    for member in (alone, *others):
        place.lanes.add(member)  # type: ignore[arg-type]
    place.lanes.start()
    assert alone.begun.wait(TIMEOUT)
    for member in others:
        member.may_end.set()
    wait_until(lambda: len(place.answers) == 2)
    assert place.exit_codes == {1: 0, 2: 0}, "while it is still at work"
    end(place, [alone])
    assert place.exit_codes == {0: 0, 1: 0, 2: 0}


def test_a_run_that_waits_for_its_models_can_be_stopped_and_one_that_makes_them_cannot(
    place: Place,
) -> None:
    runs = finishing(place)
    assert [run.begun.is_set() for run in runs] == [True] + 4 * [False], "one by one"
    for run in (runs[0], runs[3]):
        place.lanes.stop(run.id, STOPPED)
    wait_until(lambda: place.exit_codes == {runs[3].id: 143})
    end(place, runs)
    assert place.exit_codes == {run.id: 143 if run is runs[3] else 0 for run in runs}
    assert not runs[3].begun.is_set()


def test_a_run_that_learns_is_stopped_after_its_call(place: Place) -> None:
    place.stack.may_learn.clear()
    runs = place.add(0, 1)
    place.lanes.start()
    wait_until(lambda: len(place.stack.calls) == 2)
    place.lanes.stop(1, STOPPED)
    place.stack.may_learn.set()
    wait_until(lambda: place.exit_codes == {1: 143})
    end(place, runs)
    assert place.exit_codes == {0: 0, 1: 143}


def test_an_early_end_lets_the_run_that_makes_its_models_come_to_its_own(place: Place) -> None:
    runs = finishing(place)
    threading.Timer(0.2, runs[0].may_end.set).start()
    place.lanes.end_early(STOPPED)
    place.lanes.wait()
    assert place.exit_codes == {run.id: 0 if run is runs[0] else 143 for run in runs}


def test_runs_that_come_after_an_early_end_are_ended_too(place: Place) -> None:
    runs = finishing(place)
    place.lanes.end_early(STOPPED)
    place.add(5)
    assert place.exit_codes[5] == 143
    end(place, runs)


def test_a_run_is_stopped_while_all_lanes_are_busy(place: Place) -> None:
    place.stack.may_learn.clear()
    runs = place.add(0, 1)
    place.lanes.start()
    wait_until(lambda: len(place.stack.calls) == 2)
    runs += place.add(2)
    place.lanes.stop(2, STOPPED)
    wait_until(lambda: place.exit_codes == {2: 143})
    place.stack.may_learn.set()
    end(place, runs)


def test_a_run_that_can_be_in_no_stack_is_not_passed_by(place: Place) -> None:
    """Those before it in the queue go first, those behind it do not."""
    runs = [Member(number) for number in range(4)]
    runs[1].alone = True
    for run in runs:
        place.lanes.add(run)  # type: ignore[arg-type]
    taken = []
    while place.lanes._waiting:
        taken.append(place.lanes._take(place.lanes._share()))
    assert taken == [[runs[0], runs[2]], [runs[1]], [runs[3]]]
    place.lanes._learning.clear()


def test_runs_learn_while_others_are_being_finished(place: Place) -> None:
    runs = finishing(place)
    later = place.add(5, 6)
    wait_until(lambda: not any(run.run.progress.training.any() for run in later))
    assert place.answers == []
    end(place, [*runs, *later])
    assert place.exit_codes == dict.fromkeys(range(7), 0)


def test_what_goes_wrong_in_a_lane_ends_all(place: Place) -> None:
    """A worker that cannot go on is to die, for then its runs go on elsewhere."""
    place.stack.fault = MemoryError("no room")
    place.add(0)
    place.lanes.start()
    with pytest.raises(MemoryError, match="no room"):
        place.lanes.wait()
    wait_until(lambda: all(thread.done() for thread in place.lanes._threads))


def test_runs_that_are_here_bear_all_of_the_processors_time_by_their_agents(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "_cpu_seconds", lambda: 0.0)
    runs = place.add(0, 1, 2)
    runs[2].agents = 2
    monkeypatch.setattr(scheduler, "_cpu_seconds", lambda: 8.0)
    ended = Member(3)
    ended.exit_code = 2
    place.lanes.add(ended)  # type: ignore[arg-type]
    assert [run.cpu_seconds for run in runs] == [1.6, 1.6, 3.2]
    assert place.answers == [{"id": 3, "exit_code": 2, "cpu_seconds": 1.6}]
