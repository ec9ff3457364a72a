"""The training loop of one run: learn, evaluate, stop.

The loop is a generator: it yields the step that the run needs next, and is sent the step's result.
`drive` carries out the steps of one run, `trainer.batch` those of many runs at once. The order of
the steps is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from enum import Enum
from typing import TYPE_CHECKING, Any

from trainer.process import signals

if TYPE_CHECKING:
    from trainer.training.progress import Evaluation, Progress


class Step(Enum):
    """What a run needs before it can continue; the value describes the result to send."""

    LEARN = "None: the agents have learned some rounds, at most until the next evaluation"
    VALIDATE = "[P] mean validation returns of the policies that changed; NaN for the others"
    SCORE = "two arrays [P, episodes], returns of the final policies: greedy and sampled"


Steps = Generator[Step, Any, None]


def training_loop(
    progress: Progress,
    on_evaluation: Callable[[Evaluation], None],
    on_round: Callable[[], None],
) -> Steps:
    """Trains until every agent has stopped.

    Args:
        on_round: called between two rounds, where a checkpoint can be saved.
    """
    while progress.training.any():
        while progress.learning.any():
            yield Step.LEARN
            on_round()
        if progress.training.any():  # unless the last agents have diverged
            scores = yield Step.VALIDATE
            with signals.held():  # a checkpoint must not hold part of an evaluation
                on_evaluation(progress.record(scores))
    if progress.to_score.any():
        progress.settle((yield Step.VALIDATE))


def drive(steps: Steps, execute: Callable[[Step], Any]) -> None:
    """Carries out the steps of one run, one after another, to the end."""
    step = next_step(steps)
    while step is not None:
        step = next_step(steps, execute(step))


def next_step(steps: Steps, result: Any = None) -> Step | None:
    """Sends the result of the last step; returns the next step, or None at the end."""
    try:
        return steps.send(result)
    except StopIteration:
        return None
