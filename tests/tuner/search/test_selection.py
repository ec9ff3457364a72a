"""Which trials are confirmed, and which of those wins."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.contract.run_record import Scores
from trainer.contract.statistics import interval
from tuner.execution.trial import FAILED, STOPPED, SUCCEEDED
from tuner.search.selection import chosen, first_solved, ranked, remaining
from tuner.search.trial_store import RUNNING, Record
from tuner.spec.study_spec import IQM, MAXIMIZE, MINIMIZE, STEPS_TO_SOLVE


def trial(number: int, value: float | None, state: str = SUCCEEDED, sampled: float = 0.0) -> Record:
    scores = Scores(sampled_mean=sampled)
    return Record(number, {"gamma": number / 100}, state, value=value, scores=scores)


def numbers(records: list[Record]) -> list[int]:
    return [record.number for record in records]


def test_the_best_trials_that_ended_well_come_first() -> None:
    records = [
        trial(1, 10.0), trial(2, 30.0), trial(3, 20.0),
        trial(4, 99.0, STOPPED), trial(5, None, FAILED), trial(6, None, RUNNING), trial(7, None),
    ]  # fmt: skip
    assert numbers(ranked(records, IQM, MAXIMIZE)) == [2, 3, 1]
    assert numbers(ranked(records, IQM, MINIMIZE)) == [1, 3, 2]
    assert numbers(ranked(records, STEPS_TO_SOLVE, MAXIMIZE)) == [1, 3, 2]


def test_ties_are_broken_by_sampled_policies_and_then_by_order() -> None:
    records = [trial(1, 500, sampled=490), trial(2, 500, sampled=499), trial(3, 500, sampled=490)]
    assert numbers(ranked(records, IQM, MAXIMIZE)) == [2, 1, 3]


def test_trials_with_the_same_values_are_confirmed_once() -> None:
    twice = [trial(1, 10.0), Record(2, {"gamma": 0.01}, SUCCEEDED, value=11.0)]
    assert numbers(ranked(twice, IQM, MAXIMIZE)) == [2]


STEADY = Scores((480.0,) * 10)
WILD = Scores((500.0,) * 7 + (100.0,) * 3)


def test_the_lower_bound_prefers_the_steady_one() -> None:
    candidates = [trial(1, 500.0), trial(2, 480.0)]
    winner = chosen(candidates, {1: WILD, 2: STEADY}, IQM, MAXIMIZE)
    assert winner is not None and winner.number == 2


def test_a_trial_that_failed_on_fresh_seeds_does_not_win() -> None:
    candidates = [trial(1, 500.0), trial(2, 480.0)]
    winner = chosen(candidates, {2: WILD}, IQM, MAXIMIZE)
    assert winner is not None and winner.number == 2
    assert chosen(candidates, {}, IQM, MAXIMIZE) is None


def test_candidates_that_have_clearly_lost_are_dropped_and_others_stay() -> None:
    candidates = [trial(number, 500.0) for number in (1, 2, 3, 4)]
    confirmed = {1: WILD, 2: STEADY, 3: Scores((100.0, 110.0, 120.0, 479.0))}
    assert numbers(remaining(candidates, confirmed, IQM, MAXIMIZE)) == [1, 2]
    assert remaining(candidates, {}, IQM, MAXIMIZE) == []


AGENTS = st.lists(st.floats(0, 500), min_size=1, max_size=6)


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(st.integers(1, 6), AGENTS, max_size=5), st.sampled_from([MAXIMIZE, MINIMIZE])
)
def test_the_leader_stays_and_dropped_candidates_are_below_it(
    found: dict[int, list[float]], goal: str
) -> None:
    candidates = [trial(number, 0.0) for number in range(1, 7)]
    confirmed = {number: Scores(tuple(values)) for number, values in found.items()}
    left = numbers(remaining(candidates, confirmed, IQM, goal))
    leader = chosen(candidates, confirmed, IQM, goal)
    assert (leader is None) == (not left) == (not found)
    if leader is None:
        return
    assert leader.number in left
    sign = -1 if goal == MINIMIZE else 1
    bounds = {n: interval([sign * x for x in values]) for n, values in found.items()}
    least = bounds[leader.number][0]
    assert left == [n for n in sorted(bounds) if bounds[n][1] >= least]
    # Whom the first half drops would not have been chosen by it.
    assert chosen([c for c in candidates if c.number in left], confirmed, IQM, goal) == leader


def solved(*scores: float) -> Scores:
    return Scores(scores, solved_at=475.0)


def test_the_first_solved_configuration_is_the_first_trial_that_had_it() -> None:
    records = [trial(number, 500.0) for number in (1, 2, 3, 4)]
    confirmed = {4: solved(500, 500), 3: solved(475, 475), 2: solved(500, 400)}
    assert first_solved(records, confirmed) == 3
    twin = Record(1, records[3].values, STOPPED)
    assert first_solved([twin, *records[1:]], confirmed) == 1
    assert first_solved(records, {2: solved(500, 400)}) is None
    assert first_solved(records, {2: Scores((500.0, 500.0))}) is None, "no threshold is known"
    assert first_solved(records, {}) is None


@given(st.lists(st.floats(0, 500), min_size=1, max_size=8))
def test_more_is_better_or_less_by_the_goal_alone(values: list[float]) -> None:
    up = [trial(i, value) for i, value in enumerate(values)]
    down = [trial(i, -value) for i, value in enumerate(values)]
    assert numbers(ranked(up, IQM, MAXIMIZE)) == numbers(ranked(down, IQM, MINIMIZE))
