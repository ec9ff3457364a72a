"""Workers on one ledger: who is silent, who takes over, and what the study beside it shows."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from tuner.distributed import crew as crews
from tuner.distributed import mirror
from tuner.distributed.crew import Crew
from tuner.distributed.leases import MAX_PARALLEL, MAX_TRIALS, Leases, Share
from tuner.distributed.patience import Patient
from tuner.spec.study_spec import DOUBLE, Parameter

HEARTBEAT = 60.0
RESULT = {"state": "SUCCEEDED", "value": 1.0}
PARAMETERS = (Parameter("x", DOUBLE, 0.0, 1.0),)


class Clock:
    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(crews, "time", types.SimpleNamespace(monotonic=lambda: found.now))
    return found


@pytest.fixture
def joined(clock: Clock) -> Iterator[Callable[[], Crew]]:
    storage = Patient(InMemoryStorage(), str, print)
    ledger = storage.create_new_study([StudyDirection.MAXIMIZE], "study.ledger")
    workers: list[Crew] = []

    def join() -> Crew:
        workers.append(Crew(storage, ledger, HEARTBEAT, print))
        workers[-1].join({MAX_TRIALS: 9, MAX_PARALLEL: 9})
        return workers[-1]

    yield join
    for worker in workers:
        worker.leave()


def pass_time(clock: Clock, worker: Crew, seconds: int, then: Callable[[], Any] = int) -> None:
    for _ in range(seconds // 10):
        clock.now += 10
        then()
        worker.look()


def test_all_that_are_silent_are_given_up_and_tell_nothing_any_more(
    clock: Clock, joined: Callable[[], Crew], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = joined(), joined(), joined()
    assert first.take(1)
    second.look(at_once=True)
    assert second.take(2)
    third.look(at_once=True)
    assert not third.take(1)
    pass_time(clock, third, 50)
    assert not third.take(1)
    pass_time(clock, third, 30)
    assert third.leases.present.keys() == {third.me} and third.leads
    assert third.take(1) and third.take(2)
    assert capsys.readouterr().out.count("was silent for 60 s") == 2
    assert not first.tell(1, {**RESULT, "value": 9.0})
    assert "this worker was not heard of for 60 s" in capsys.readouterr().out
    assert not first.owns(1) and first.take(3), "it goes on with something else"
    assert third.tell(1, RESULT) and not second.tell(1, RESULT)
    assert third.leases.trials[1].result == RESULT


def test_who_shows_that_it_is_alive_keeps_what_it_has(
    clock: Clock, joined: Callable[[], Crew]
) -> None:
    first, second = joined(), joined()
    assert first.take(1)
    beats = iter(range(1, 99))
    place = first.leases.present[first.me]

    def beat() -> None:
        trial = first._storage.get_all_trials(first._ledger)[place]
        first._storage.set_trial_user_attr(trial._trial_id, "beat", next(beats))

    pass_time(clock, second, 300, beat)
    assert first.me in second.leases.present and first.tell(1, RESULT)


def test_a_pause_of_ones_own_is_nobody_elses_silence(
    clock: Clock, joined: Callable[[], Crew]
) -> None:
    first, second = joined(), joined()
    second.look(at_once=True)
    clock.now += 1e6
    second.look()
    assert first.me in second.leases.present


def test_what_a_worker_leaves_is_free_at_once(joined: Callable[[], Crew]) -> None:
    first, second = joined(), joined()
    assert first.take("test-2/winner")
    first.leave()
    second.look(at_once=True)
    assert second.take("test-2/winner")


def test_an_event_that_a_proxy_leaves_out_is_asked_for(joined: Callable[[], Crew]) -> None:
    first, second = joined(), joined()
    assert first.take(1) and first.tell(1, RESULT) and first.take(2)
    whole = second._storage

    class Gaps:
        def get_all_trials(self, study: int, deepcopy: bool) -> Any:
            return [t for t in whole.get_all_trials(study, deepcopy) if t.number not in (0, 3)]

        def __getattr__(self, name: str) -> Any:
            return getattr(whole, name)

    second._storage = Gaps()
    second.look(at_once=True)
    ours, theirs = second.leases, first.leases
    assert (ours.trials, ours.present, ours.events) == (theirs.trials, theirs.present, 5)
    second._storage = whole


def test_the_study_beside_the_ledger_has_each_trial_once() -> None:
    storage = InMemoryStorage()
    study = storage.create_new_study([StudyDirection.MAXIMIZE], "study")
    state = Leases()
    for number in (1, 2, 3):
        state.trials[number] = Share(point={"x": 0.1 * number}, taken="2026-01-01T00:00:00+00:00")
    mirror.write(storage, study, state, PARAMETERS)
    storage.create_new_trial(study, storage.get_all_trials(study)[1])  # an answer got lost
    state.trials[2].result = {**RESULT, "value": 5.0}
    state.trials[3].result = {**RESULT, "state": "FAILED", "value": None}
    for _ in range(2):
        mirror.write(storage, study, state, PARAMETERS)
    trials = storage.get_all_trials(study)
    assert [trial.params["x"] for trial in trials[:3]] == [0.1, 0.2, pytest.approx(0.3)]
    assert [trial.state for trial in trials] == [
        TrialState.RUNNING,
        TrialState.COMPLETE,
        TrialState.FAIL,
        TrialState.FAIL,
    ]
    assert trials[1].value == 5.0 and trials[1].user_attrs["outcome"]["value"] == 5.0
