"""Reads what a run has recorded: its scores, its learning curve and its settings.

The files may be of any trainer and in any state: what does not fit is left out.
"""

from __future__ import annotations

import hashlib
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from trainer.contract.job_files import json_object

_LARGEST_STEP = 2**53
_LARGEST = 1e100  # of a score: sums and squares of scores stay finite


class Point(NamedTuple):
    """The scores of a run's agents at one step, a line of `metrics.jsonl`."""

    step: int
    scores: tuple[float | None, ...]  # one for each agent; None if it was not a number
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
    for text in io.BytesIO(metrics):
        line = json_object(text) or {}
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

    It is computed from canonical JSON, which holds no times.
    """
    if not points:
        return None
    rows = [[point.step, point.final, list(point.scores)] for point in points]
    text = json.dumps(rows, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Scores:
    """The scores of a run's agents, one item for each agent; empty if unknown."""

    scores: tuple[float, ...] = ()
    steps: tuple[int, ...] = ()  # that each agent took
    steps_to_solve: tuple[int | None, ...] = ()
    stayed_solved: tuple[bool | None, ...] = ()
    sampled_mean: float | None = None
    reported: float | None = None  # the metric that the run reported to its tuner
    solved_at: float | None = None  # the score at which its task counts as solved


def scores(
    manifest: Mapping[str, Any], settings: Mapping[str, Any], reported: float | None = None
) -> Scores:
    """The scores in `manifest.json` and the threshold in `hyperparameters.json`.

    Without a score for each agent in the manifest, only `reported` is set.
    """
    found = mapping(manifest.get("scores"))
    agents = numbers(found.get("scores"))
    if not agents:
        return Scores(reported=reported)
    steps = [int(count) for count in numbers(found.get("steps"))]
    solved, stayed = (items(found.get(name)) for name in ("steps_to_solve", "stayed_solved"))
    if not len(agents) == len(steps) == len(solved) == len(stayed):
        steps, solved, stayed = [], [], []
    return Scores(
        agents,
        tuple(steps),
        tuple(None if (n := number(count)) is None else int(n) for count in solved),
        tuple(None if flag is None else bool(flag) for flag in stayed),
        number(found.get("sampled_mean_score")),
        reported,
        number(mapping(settings.get("effective")).get("solved_at_score")),
    )


def mean_score(manifest: bytes) -> float | None:
    """The mean score in the bytes of a manifest."""
    return number(mapping((json_object(manifest) or {}).get("scores")).get("mean_score"))


def mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def items(found: Any) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else []


def number(found: Any) -> float | None:
    """`value` if it is a finite number of a score's range; else None."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if abs(found) <= _LARGEST else None


def numbers(found: Any) -> tuple[float, ...]:
    """The numbers in a list; empty if any item is not a number."""
    known = [number(item) for item in items(found)]
    return tuple(x for x in known if x is not None) if None not in known else ()
