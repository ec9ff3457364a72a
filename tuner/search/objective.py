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

from trainer.contract.statistics import interquartile_mean, interval
from tuner.spec.study_spec import IQM, LOWER_BOUND, MAXIMIZE, MINIMIZE, STEPS_TO_SOLVE

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
    solved_at: float | None = None  # the score at which its task counts as solved


def read_scores(job_dir: Path, reported: float | None) -> Scores:
    """What a finished run's manifest says, or the reported metric alone where it says nothing."""
    try:
        manifest = json.loads((job_dir / "manifest.json").read_bytes())
        scores = _scores(manifest["scores"], reported)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Scores(reported=reported)
    return dataclasses.replace(scores, solved_at=_solved_at(job_dir))


def _solved_at(job_dir: Path) -> float | None:
    try:
        settings = json.loads((job_dir / "hyperparameters.json").read_bytes())
        found = float(settings["effective"]["solved_at_score"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return found if math.isfinite(found) else None


def joined(first: Scores, second: Scores) -> Scores:
    """Two runs of one configuration on different seeds, as if they had been one."""
    parts = [part for part in (first, second) if part.scores or part.reported is not None]
    if len(parts) < 2:
        return parts[0] if parts else Scores()
    solved_at = parts[0].solved_at if parts[0].solved_at == parts[1].solved_at else None
    sampled = [(len(part.scores), part.sampled_mean) for part in parts]
    weights = [count for count, mean in sampled if mean is not None]
    means = [mean for _, mean in sampled if mean is not None]
    together = Scores(
        tuple(score for part in parts for score in _known(part)),
        solved_at=solved_at,
        sampled_mean=statistics.fmean(means, weights) if len(means) == 2 else None,
    )
    if not all(part.scores and part.steps for part in parts):
        return together
    return dataclasses.replace(
        together,
        steps=first.steps + second.steps,
        steps_to_solve=first.steps_to_solve + second.steps_to_solve,
        stayed_solved=first.stayed_solved + second.stayed_solved,
    )


def _known(scores: Scores) -> tuple[float, ...]:
    """A number for each agent, or one for the run."""
    return scores.scores or (() if scores.reported is None else (scores.reported,))


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
    return [sign * value for value in _known(scores)]


def utility(values: Sequence[float], objective: str) -> float:
    """The objective of agents' utilities; larger is better."""
    if objective == LOWER_BOUND:
        return interval(values)[0]
    if objective == IQM:
        return float(interquartile_mean(values))
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
