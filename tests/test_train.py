from __future__ import annotations

import numpy as np

from trainer.learners import Learned
from trainer.train import Plan, Progress


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
