"""The order of the steps of a run: learn, evaluate, stop."""

from __future__ import annotations

import numpy as np

from trainer.agents.update import METRICS
from trainer.training.learners import Learned
from trainer.training.loop import Step, drive, next_step, training_loop
from trainer.training.progress import Plan, Progress


class Course:
    """A run of two agents, written down step by step; 100 steps a round."""

    def __init__(self, *, diverges: bool = False) -> None:
        self.progress = Progress(Plan(400, 200, 5, 10.0, 1), 2)
        self.diverges = diverges
        self.seen: list[str] = []

    def execute(self, step: Step) -> object:
        self.seen.append(step.name)
        if step is Step.VALIDATE:
            return np.array([1.0, 2.0])
        progress = self.progress
        finite = np.full(2, not self.diverges)
        steps = progress.steps + np.where(progress.learning, 100, 0)
        progress.advance(Learned(steps, np.zeros((2, len(METRICS)), np.float32), finite))
        return None

    def drive(self) -> list[str]:
        loop = training_loop(
            self.progress,
            lambda evaluation: self.seen.append(f"at {evaluation.steps}"),
            lambda: self.seen.append("round"),
        )
        drive(loop, self.execute)
        return self.seen


LEARN = ["LEARN", "round"]


def test_rounds_alternate_with_evaluations_until_all_steps_are_taken() -> None:
    assert Course().drive() == [
        *LEARN, *LEARN, "VALIDATE", "at 200", *LEARN, *LEARN, "VALIDATE", "at 400",
    ]  # fmt: skip


def test_agents_that_diverge_are_scored_once_more_and_reported_no_more() -> None:
    course = Course(diverges=True)
    assert course.drive() == [*LEARN, "VALIDATE"]
    np.testing.assert_array_equal(course.progress.scores, [1.0, 2.0])


def test_a_run_that_was_saved_before_an_evaluation_continues_with_it() -> None:
    course = Course()
    course.progress.steps[:] = 200
    assert course.drive()[:2] == ["VALIDATE", "at 200"]


def test_a_run_that_had_trained_to_its_end_needs_no_step() -> None:
    course = Course()
    course.progress.training[:] = False
    course.progress.scores[:] = 5.0
    assert course.drive() == []


def test_the_next_step_comes_with_the_result_of_the_last_and_none_at_the_end() -> None:
    course = Course()
    course.progress.steps[:] = 400
    course.progress.evaluations = [None]  # type: ignore[list-item]
    loop = training_loop(course.progress, lambda evaluation: None, lambda: None)
    assert next_step(loop) is Step.VALIDATE
    assert next_step(loop, np.array([3.0, 4.0])) is None
    np.testing.assert_array_equal(course.progress.scores, [3.0, 4.0])
