"""The objective of a study: one number for the agents of a trial."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.contract.run_record import Scores
from trainer.contract.statistics import interquartile_mean, interval
from tuner.spec.study_spec import IQM, LOWER_BOUND, MAXIMIZE, MINIMIZE, STEPS_TO_SOLVE

UNSOLVED = 2.0  # an agent that did not solve its task counts as having needed twice its steps


def joined(first: Scores, second: Scores) -> Scores:
    """Merges the scores of two runs of one configuration on different seeds."""
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


def as_json(scores: Scores) -> dict[str, Any]:
    return dataclasses.asdict(scores)


def from_json(found: Mapping[str, Any]) -> Scores:
    fixed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
    return Scores(**fixed)


def utilities(scores: Scores, objective: str, goal: str) -> list[float]:
    """One number per agent, larger is better; empty if there are no such scores."""
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
    """Whether the objective, as displayed, is to be maximized or minimized."""
    return MINIMIZE if objective == STEPS_TO_SOLVE else goal or MAXIMIZE


def value(scores: Scores, objective: str, goal: str) -> float | None:
    """The objective of a run as displayed; None if it is unknown."""
    found = utilities(scores, objective, goal)
    if not found:
        return None
    sign = -1.0 if direction(objective, goal) == MINIMIZE else 1.0
    return sign * utility(found, objective)
