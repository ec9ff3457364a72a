"""A run's learning curve, from its metrics.jsonl, and the fingerprint of that."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

FILE = "metrics.jsonl"


class Point(NamedTuple):
    """What a run's agents scored at one step."""

    step: int
    scores: tuple[float | None, ...]  # an item an agent; None where it was no number
    final: bool = False

    @property
    def known(self) -> list[float]:
        return [score for score in self.scores if score is not None]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.known)


def read(folder: Path) -> list[Point]:
    """The reports of the run in a folder with a score at all; none where it has no such file.

    The file may be of any trainer and in any state: what is no report is left out.
    """
    try:
        lines = (folder / FILE).read_bytes().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for text in lines:
        try:
            point = _point(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            continue
        if point.known:
            found.append(point)
    return found


def _point(line: Any) -> Point:
    scores = line["scores"] if "scores" in line else [line["mean_score"]]
    numbers = [None if score is None else float(score) for score in scores]
    kept = tuple(x if x is not None and math.isfinite(x) else None for x in numbers)
    return Point(int(line["step"]), kept, bool(line.get("final")))


def fingerprint(points: Sequence[Point]) -> str | None:
    """SHA-256 of every agent's score at every report, to the last bit; None where there is none.

    Of canonical JSON, so that neither time nor spelling is in it: two runs have the same one if,
    and but for a miracle only if, their agents scored the same.
    """
    if not points:
        return None
    rows = [[point.step, point.final, list(point.scores)] for point in points]
    text = json.dumps(rows, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
