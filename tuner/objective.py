"""What a study makes best: one number of a trial's agents."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner import estimates
from tuner.spec import IQM, LOWER_BOUND, MAXIMIZE, MINIMIZE, STEPS_TO_SOLVE

UNSOLVED = 2.0  # an agent that never solved its task counts as if twice its steps were needed


@dataclass(frozen=True)
class Scores:
    """What is known of a run's agents, one item an agent."""

    scores: tuple[float, ...] = ()
    steps: tuple[int, ...] = ()  # that each agent took
    steps_to_solve: tuple[int | None, ...] = ()
    stayed_solved: tuple[bool | None, ...] = ()
    sampled_mean: float | None = None
    reported: float | None = None  # the metric, as the trial told the service


def read_scores(job_dir: Path, reported: float | None) -> Scores:
    """What a finished run's manifest says, or the reported metric alone where it says nothing."""
    try:
        manifest = json.loads((job_dir / "manifest.json").read_bytes())
        return _scores(manifest["scores"], reported)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Scores(reported=reported)


def _scores(found: Mapping[str, Any], reported: float | None) -> Scores:
    scores = tuple(float(score) for score in found["scores"])
    steps = tuple(int(count) for count in found.get("steps", ()))
    solved = tuple(found.get("steps_to_solve", ()))
    stayed = tuple(found.get("stayed_solved", ()))
    sampled = found.get("sampled_mean_score")
    if not scores or not all(map(math.isfinite, scores)):
        return Scores(reported=reported)
    if not len(scores) == len(steps) == len(solved) == len(stayed):
        steps, solved, stayed = (), (), ()
    return Scores(scores, steps, solved, stayed, sampled, reported)


def as_json(scores: Scores) -> dict[str, Any]:
    return dataclasses.asdict(scores)


def from_json(found: Mapping[str, Any]) -> Scores:
    fixed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
    return Scores(**fixed)


def utilities(scores: Scores, objective: str, goal: str) -> list[float]:
    """A number for each agent, larger is better; empty where nothing fit for it is known."""
    if objective == STEPS_TO_SOLVE:
        return [
            -float(UNSOLVED * taken if solved is None else solved)
            for taken, solved in zip(scores.steps, scores.steps_to_solve, strict=True)
        ]
    sign = -1.0 if goal == MINIMIZE else 1.0
    values = scores.scores or (() if scores.reported is None else (scores.reported,))
    return [sign * value for value in values]


def utility(values: Sequence[float], objective: str) -> float:
    """The objective of agents' utilities; larger is better."""
    if objective == LOWER_BOUND:
        return estimates.interval(values)[0]
    if objective == IQM:
        return float(estimates.interquartile_mean(values))
    return statistics.fmean(values)


def direction(objective: str, goal: str) -> str:
    """Whether the objective's own number, as it is shown, should be large or small."""
    return MINIMIZE if objective == STEPS_TO_SOLVE else goal or MAXIMIZE


def value(scores: Scores, objective: str, goal: str) -> float | None:
    """The objective of a run as it is shown; None where it cannot be known."""
    found = utilities(scores, objective, goal)
    if not found:
        return None
    sign = -1.0 if direction(objective, goal) == MINIMIZE else 1.0
    return sign * utility(found, objective)
