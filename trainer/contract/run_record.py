"""What a finished or unfinished run says of itself: the content of its JSON files, checked.

The files may be of any trainer and in any state: what does not fit is left out.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trainer.contract.job_files import json_object

_LARGEST_STEP = 2**53


class Point(NamedTuple):
    """The scores of a run's agents at one step, a line of `metrics.jsonl`."""

    step: int
    scores: tuple[float | None, ...]  # an item an agent; None where it was not a number
    final: bool = False

    @property
    def known(self) -> list[float]:
        return [score for score in self.scores if score is not None]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.known)


def curve(metrics: bytes) -> list[Point]:
    """The reports in `metrics.jsonl` that have a score, in their order."""
    found = []
    for text in metrics.decode("utf-8", errors="replace").splitlines():
        line = json_object(text.encode()) or {}
        scores = line.get("scores")
        if not isinstance(scores, list):
            scores = [line.get("mean_score")]
        step = line.get("step")
        if type(step) is int and 0 <= step < _LARGEST_STEP:
            point = Point(step, tuple(map(number, scores)), line.get("final") is True)
            if point.known:
                found.append(point)
    return found


def fingerprint(points: Sequence[Point]) -> str | None:
    """SHA-256 of every agent's score at every report, to the last bit; None without reports.

    It is of canonical JSON, so that neither time nor spelling is in it.
    """
    if not points:
        return None
    rows = [[point.step, point.final, list(point.scores)] for point in points]
    text = json.dumps(rows, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """The scores in a manifest, an item an agent."""

    scores: tuple[float, ...] = ()
    steps: tuple[int, ...] = ()  # that each agent took
    steps_to_solve: tuple[int | None, ...] = ()
    stayed_solved: tuple[bool | None, ...] = ()
    sampled_mean: float | None = None
    interval: tuple[float, float] | None = None


def outcome(manifest: Mapping[str, Any]) -> Outcome:
    """The scores of a finished run; empty where the manifest has none, or not one an agent."""
    found = mapping(manifest.get("scores"))
    scores = numbers(found.get("scores"))
    steps = [int(count) for count in numbers(found.get("steps"))]
    solved, stayed = (items(found.get(name)) for name in ("steps_to_solve", "stayed_solved"))
    if not scores:
        return Outcome()
    if not len(scores) == len(steps) == len(solved) == len(stayed):
        steps, solved, stayed = [], [], []
    interval = numbers(found.get("interval"))
    return Outcome(
        scores,
        tuple(steps),
        tuple(None if (n := number(count)) is None else int(n) for count in solved),
        tuple(None if flag is None else bool(flag) for flag in stayed),
        number(found.get("sampled_mean_score")),
        (interval[0], interval[1]) if len(interval) == 2 else None,
    )


def mean_score(manifest: bytes) -> float | None:
    """The mean score in the bytes of a manifest."""
    return number(mapping((json_object(manifest) or {}).get("scores")).get("mean_score"))


def solved_at(settings: Mapping[str, Any]) -> float | None:
    """The score at which the run's task counts as solved, from `hyperparameters.json`."""
    return number(mapping(settings.get("effective")).get("solved_at_score"))


def mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def items(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def number(found: Any) -> float | None:
    """A finite number; None for anything else, also for an integer that no float can hold."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        return float(found) if math.isfinite(found) else None
    except OverflowError:
        return None


def numbers(found: Any) -> tuple[float, ...]:
    """The numbers in a list; empty where an item is none."""
    known = [number(item) for item in items(found)]
    return tuple(x for x in known if x is not None) if None not in known else ()
