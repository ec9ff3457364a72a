"""Reads a trial's reports from the file that it writes for a tuning service."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tuner.spec.study_spec import BEST, MINIMIZE


class Measurement(NamedTuple):
    """The tuned metric at one step."""

    step: int
    value: float


def read(data: bytes, tag: str) -> list[Measurement]:
    """The finite values under `tag` in a metric file, in the order of their steps.

    The trainer may be writing to it, so a line may be cut short, and it may hold other tags and
    keys. Of a step that is reported twice, the last report counts.
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
    """Merges reports by step: the file keeps only the last hundred lines."""
    return [Measurement(*item) for item in sorted({**dict(before), **dict(now)}.items())]


def counted(measurements: Sequence[Measurement], which: str, goal: str) -> Measurement | None:
    """The report that is the trial's score: the last, or the best if the study is set to it."""
    if not measurements:
        return None
    if which == BEST:
        best = min if goal == MINIMIZE else max
        return best(measurements, key=lambda measurement: measurement.value)
    return measurements[-1]


def as_json(measurements: Sequence[Measurement]) -> list[list[float]]:
    return [[step, value] for step, value in measurements]


def from_json(rows: Any) -> list[Measurement]:
    return [Measurement(int(step), float(value)) for step, value in rows]
