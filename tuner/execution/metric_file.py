"""A trial's reports as it writes them for its service, and when they say that it has lost."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tuner.spec.study_spec import BEST, MINIMIZE


class Measurement(NamedTuple):
    """The tuned metric at one step."""

    step: int
    value: float


def read(data: bytes, tag: str) -> list[Measurement]:
    """The finite values under `tag` in a metric file, in the order of their steps.

    It is written in place while we read, so a line may be cut short, and it may hold other tags
    and keys. A step that is told twice counts as it was told last.
    """
    found: dict[int, float] = {}
    for text in data.decode("utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
            step, value = int(float(line.get("global_step", 0))), float(line[tag])
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            continue
        if step >= 0 and math.isfinite(value):
            found[step] = value
    return merged((), [Measurement(step, value) for step, value in found.items()])


def merged(before: Iterable[Measurement], now: Iterable[Measurement]) -> list[Measurement]:
    """Both, in the order of their steps: old lines leave the file once there are a hundred."""
    return [Measurement(*item) for item in sorted({**dict(before), **dict(now)}.items())]


def counted(measurements: Sequence[Measurement], which: str, goal: str) -> Measurement | None:
    """The one that stands for the trial: the last, or the best if the study says so."""
    if not measurements:
        return None
    if which == BEST:
        best = min if goal == MINIMIZE else max
        return best(measurements, key=lambda measurement: measurement.value)
    return measurements[-1]


def has_lost(
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


def as_json(measurements: Sequence[Measurement]) -> list[list[float]]:
    return [[step, value] for step, value in measurements]


def from_json(rows: Any) -> list[Measurement]:
    return [Measurement(int(step), float(value)) for step, value in rows]
