from __future__ import annotations

import numpy as np
import pytest

from trainer.agents.update import METRICS
from trainer.storage.checkpoint import CheckpointError
from trainer.training.learners import Learned
from trainer.training.progress import Plan, Progress


def progress(
    agents: int = 2, *, goal: float | None = 100.0, stop_after: int | None = 1
) -> Progress:
    return Progress(Plan(1000, 300, 5, goal, stop_after), agents)


def test_evaluations_come_at_multiples_and_at_the_end() -> None:
    course = progress(1, goal=None)
    seen = []
    while course.training.any():
        course.steps[:] = course.next_evaluation + 7  # batches overshoot
        seen.append(course.record(np.zeros(1)).steps)
    assert seen == [300, 600, 900, 1000]


def test_agents_wait_for_one_another_at_an_evaluation() -> None:
    course = progress(2)
    course.steps[:] = [300, 120]
    np.testing.assert_array_equal(course.learning, [False, True])


def test_an_agent_stops_by_its_own_score_and_the_others_go_on() -> None:
    course = progress(2)
    course.steps[:] = 300
    course.record(np.array([100.0, 99.0]))
    np.testing.assert_array_equal(course.training, [False, True])
    assert course.summary()["steps_to_solve"] == [300, None]


def test_a_stopped_agent_keeps_the_score_that_stopped_it() -> None:
    course = progress(2)
    course.steps[:] = 300
    course.record(np.array([100.0, 1.0]))
    later = course.record(np.array([np.nan, 2.0]))
    np.testing.assert_array_equal(later.scores, [100.0, 2.0])


def test_falling_back_after_the_first_solve_is_on_record() -> None:
    course = progress(2, stop_after=None)
    for first, second in [(0, 100), (100, 99), (100, 100)]:
        course.steps += 300
        course.record(np.array([first, second], float))
    assert course.summary()["steps_to_solve"] == [600, 300]
    assert course.summary()["stayed_solved"] == [True, False]


def test_a_diverged_agent_trains_no_further() -> None:
    course = progress(2)
    course.steps[:] = 300
    finite = np.array([True, False])
    course.advance(Learned(course.steps + 1, np.zeros((2, 5), np.float32), finite))
    np.testing.assert_array_equal(course.training, [True, False])
    assert course.summary()["diverged"] == [1]


def test_the_best_agent_is_the_first_of_the_best_and_never_one_without_a_score() -> None:
    course = progress(4, stop_after=None)
    course.scores = np.array([np.nan, 5.0, 9.0, 9.0])
    assert course.best_agent == 2
    assert course.score_of(0) is None


def test_without_a_threshold_nothing_counts_as_solved() -> None:
    course = progress(1, goal=None)
    course.steps[:] = 300
    course.record(np.array([1e9]))
    assert course.summary()["steps_to_solve"] == [None]
    assert course.training.all()


def test_an_agent_that_overflowed_is_scored_anew_for_its_weights_went_back() -> None:
    course = progress(2, stop_after=None)
    course.steps[:] = 300
    course.record(np.array([50.0, 60.0]))
    course.advance(Learned(course.steps + 1, np.zeros((2, 5), np.float32), np.array([True, False])))
    np.testing.assert_array_equal(course.to_score, [True, True])
    course.record(np.array([70.0, 5.0]))
    np.testing.assert_array_equal(course.scores, [70.0, 5.0])
    np.testing.assert_array_equal(course.to_score, [True, False])


def test_a_single_lucky_evaluation_stops_nobody() -> None:
    course = Progress(Plan(3000, 300, 5, 100.0, 3), 1)
    going_on = []
    for score in (100, 100, 99, 100, 100, 100):
        course.steps += 300
        course.record(np.array([score], float))
        going_on.append(bool(course.training[0]))
    assert going_on == [True] * 5 + [False]


def learned(course: Progress, steps: int, finite: np.ndarray | None = None) -> Learned:
    """Some steps more for those who learn; agents' metrics tell them apart."""
    metrics = np.arange(course.size * len(METRICS), dtype=np.float32).reshape(course.size, -1)
    taken = course.steps + np.where(course.learning, steps, 0)
    return Learned(taken, metrics, np.ones(course.size, bool) if finite is None else finite)


def half_way() -> Progress:
    """After two evaluations: one agent has solved, one has diverged, one has just gone on."""
    course = Progress(Plan(1000, 300, 5, 100.0, 2), 3)
    course.advance(learned(course, 301))
    course.record(np.array([100.0, 3.0, 50.0]))
    course.advance(learned(course, 300, np.array([True, True, False])))
    course.record(np.array([100.0, 101.0, np.nan]))
    course.advance(learned(course, 100))
    return course


def test_progress_that_is_taken_up_goes_on_as_the_first_would_have() -> None:
    goes_on = half_way()
    takes_up = Progress(goes_on.plan, 3)
    takes_up.restore(goes_on.snapshot())
    while goes_on.training.any():
        seen = []
        for course in (goes_on, takes_up):
            course.advance(learned(course, 100))
            if not course.learning.any():
                seen.append(course.record(np.array([99.0, 99.0 + course.steps[1], 99.0])))
            else:
                seen.append(None)
        if seen[0] is not None:
            assert seen[0].steps == seen[1].steps
            assert seen[0].losses == seen[1].losses
            np.testing.assert_array_equal(seen[0].scores, seen[1].scores)
            np.testing.assert_array_equal(seen[0].training, seen[1].training)
        assert goes_on.summary() == takes_up.summary()
        assert goes_on.next_evaluation == takes_up.next_evaluation
        np.testing.assert_array_equal(goes_on.learning, takes_up.learning)
        np.testing.assert_array_equal(goes_on.to_score, takes_up.to_score)
    assert len(takes_up.evaluations) == len(goes_on.evaluations)
    assert goes_on.best_agent == takes_up.best_agent


@pytest.mark.parametrize("course", [progress(3), half_way()], ids=["fresh", "half way"])
def test_progress_that_is_taken_up_is_saved_again_the_same(course: Progress) -> None:
    again = Progress(course.plan, 3)
    again.restore(course.snapshot())
    for name, array in course.snapshot().items():
        assert array.dtype == again.snapshot()[name].dtype
        assert array.tobytes() == again.snapshot()[name].tobytes(), name


def test_the_losses_of_the_last_updates_are_taken_up() -> None:
    course, again = half_way(), progress(3)
    again.restore(course.snapshot())
    assert again.losses == course.losses
    assert again.losses.keys() == set(METRICS)


def test_a_snapshot_of_progress_is_one_of_that_moment() -> None:
    course = half_way()
    snapshot = course.snapshot()
    kept = {name: array.copy() for name, array in snapshot.items()}
    again = progress(3)
    again.restore(snapshot)
    for each in (course, again):
        each.advance(learned(each, 500, np.zeros(3, bool)))
        each.scores[:] = 7
    assert all(
        np.array_equal(snapshot[name], array, equal_nan=True) for name, array in kept.items()
    )


def test_progress_of_another_number_of_agents_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"its array steps is .* not int64 of shape \(2,\)"):
        progress(2).restore(half_way().snapshot())


def test_evaluations_that_do_not_agree_in_number_are_refused() -> None:
    snapshot = half_way().snapshot()
    for name in ("evaluation_scores", "evaluation_training"):
        with pytest.raises(CheckpointError, match=f"its array {name} is "):
            progress(3).restore({**snapshot, name: snapshot[name][1:]})
