"""The median rule: whether to stop a running trial early."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from tuner.execution.metric_file import Measurement
from tuner.spec.study_spec import MINIMIZE


def is_below_median(
    measurements: Sequence[Measurement],
    completed: Iterable[Sequence[Measurement]],
    goal: str,
) -> bool:
    """The median rule, as Vertex AI states it.

    A trial is stopped if its best value so far is strictly worse than the median of the completed
    trials' running averages up to the same step.
    """
    if not measurements:
        return False
    sign = -1 if goal == MINIMIZE else 1
    step = measurements[-1].step
    averages = [
        statistics.fmean(values)
        for trial in completed
        if (values := [sign * value for at, value in trial if at <= step])
    ]
    best = max(sign * value for _, value in measurements)
    return bool(averages) and best < statistics.median(averages)
