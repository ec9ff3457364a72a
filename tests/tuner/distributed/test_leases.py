"""Who has what, and whose results count, in whatever order things are said."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tuner.distributed.leases import MAX_PARALLEL, MAX_TRIALS, Leases

PLAN = {MAX_TRIALS: 3, MAX_PARALLEL: 2}


def leases(*events: dict[str, Any]) -> Leases:
    state = Leases()
    for event in events:
        state.apply(event)
    return state


def join(worker: str, **plan: int) -> dict[str, Any]:
    return {"kind": "join", "worker": worker, "name": worker, "plan": PLAN | plan}


def gone(worker: str) -> dict[str, Any]:
    return {"kind": "gone", "worker": worker}


def take(worker: str, share: int | str, x: float = 0.0) -> dict[str, Any]:
    return {"kind": "take", "worker": worker, "share": share, "at": "t", "point": {"x": x}}


def tell(worker: str, share: int | str, value: float, state: str = "SUCCEEDED") -> dict[str, Any]:
    result = {"state": state, "value": value}
    return {"kind": "tell", "worker": worker, "share": share, "at": "t", "result": result}


def test_of_two_that_take_a_trial_the_first_has_it() -> None:
    state = leases(join("a"), join("b"), take("b", 1, 0.5), take("a", 1, 0.7))
    assert (state.trials[1].owner, state.trials[1].point) == ("b", {"x": 0.5})


def test_what_a_lost_worker_had_is_free_and_keeps_its_point() -> None:
    state = leases(join("a"), join("b"), take("a", 1, 0.5), gone("a"))
    assert state.may_take(1)
    state.apply(take("b", 1, 0.7))
    assert (state.trials[1].owner, state.trials[1].point) == ("b", {"x": 0.5})


def test_a_result_counts_only_from_whom_the_trial_belongs_to() -> None:
    before = (join("a"), join("b"), take("a", 1), gone("a"))
    assert leases(*before, tell("a", 1, 9.0)).trials[1].result is None, "given up"
    state = leases(*before, take("b", 1), tell("a", 1, 9.0), tell("b", 1, 5.0), tell("b", 1, 6.0))
    assert state.trials[1].result == {"state": "SUCCEEDED", "value": 5.0}
    assert state.trials[1].teller == "b"


def test_a_worker_that_was_given_up_takes_nothing() -> None:
    assert leases(join("a"), gone("a"), take("a", 1), join("a"), take("a", 1)).trials == {}


def test_there_are_never_more_trials_than_planned_nor_more_at_a_time() -> None:
    state = leases(join("a"), *(take("a", number) for number in (2, 1, 2, 3, 4)))
    assert list(state.trials) == [1, 2], "in order, two at a time"
    for number in (1, 2):
        state.apply(tell("a", number, 1.0))
    for number in (3, 4):
        state.apply(take("a", number))
    assert list(state.trials) == [1, 2, 3]


def test_trials_that_were_left_come_before_new_ones() -> None:
    state = leases(join("a"), join("b"), take("a", 1), take("b", 2))
    assert state.next_trial() is None, "two at a time"
    state.apply(tell("a", 1, 1.0))
    assert state.next_trial() == 3
    state.apply(gone("b"))
    assert state.next_trial() == 2
    assert Leases().next_trial() is None


def test_parts_of_the_test_are_taken_whatever_the_file_says_of_trials() -> None:
    state = leases(join("a", **{MAX_PARALLEL: 1}), *(take("a", name) for name in ("x", "y", "z")))
    assert [share.owner for share in state.parts.values()] == ["a"] * 3


def test_no_trial_is_begun_after_the_end_was_said_but_those_begun_end() -> None:
    state = leases(join("a"), take("a", 1), {"kind": "close", "worker": "a"}, gone("a"), join("b"))
    assert state.may_take(1) and state.session == 2
    assert leases(join("a"), {"kind": "close", "worker": "a"}, take("a", 1)).trials == {}


def test_a_part_that_failed_is_tried_again_by_those_who_come_when_all_have_left() -> None:
    state = leases(join("a"), take("a", "x"), tell("a", "x", 1.0, "FAILED"))
    assert state.ended("x") and not state.may_take("x")
    for event in (join("b"), gone("a")):
        state.apply(event)
    assert state.ended("x"), "one of those that saw it fail is still there"
    for event in (gone("b"), join("c", **{MAX_TRIALS: 9})):
        state.apply(event)
    assert not state.ended("x") and state.may_take("x")
    assert state.plan[MAX_TRIALS] == 9


def test_the_plan_is_that_of_who_came_first() -> None:
    assert leases(join("a"), join("b", **{MAX_TRIALS: 9})).plan == PLAN


def test_seeds_are_claimed_once() -> None:
    claims = [("tuning", 0), ("confirming", None), ("confirming", None), ("testing", 1)]
    events = [{"kind": "claim", "purpose": p, "seed": s, "worker": "a"} for p, s in claims]
    assert leases(*events).seeds.used == {"tuning": 0, "confirming": 1}


def test_events_of_another_kind_change_nothing() -> None:
    assert leases({}, {"kind": "sing", "worker": "a"}).events == 2


WORKERS, SHARES = st.sampled_from("abc"), st.sampled_from([1, 2, 3, 4, "x"])
EVENTS = st.one_of(
    st.builds(join, WORKERS),
    st.builds(join, st.integers().map(str)),
    st.builds(gone, WORKERS),
    st.builds(take, WORKERS, SHARES),
    st.builds(tell, WORKERS, SHARES, st.floats(0, 1), st.sampled_from(["SUCCEEDED", "FAILED"])),
)


@given(st.lists(EVENTS, max_size=60))
def test_whatever_is_said_no_result_is_lost_or_changed(events: list[dict[str, Any]]) -> None:
    state, results = Leases(), {}
    for event in events:
        state.apply(event)
        shares = {**state.trials, **state.parts}
        assert {share.owner for share in shares.values()} <= {"", *state.present}
        assert sum(bool(share.owner) for share in state.trials.values()) <= PLAN[MAX_PARALLEL]
        assert list(state.trials) == list(range(1, len(state.trials) + 1))
        assert len(state.trials) <= PLAN[MAX_TRIALS]
        for key, result in results.items():
            assert shares[key].result is result
        results = {
            key: share.result
            for key, share in shares.items()
            if share.result is not None and (share.result["state"] == "SUCCEEDED" or key != "x")
        }
