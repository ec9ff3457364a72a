"""What a study found, as text for the terminal and as best.json."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.contract.run_record import Scores
from trainer.contract.statistics import interquartile_mean, interval, probability_of_improvement
from trainer.contract.text import score, several, with_interval
from tuner.outputs.terminal import labelled
from tuner.search import objective
from tuner.search.trial_store import Record
from tuner.spec.study_spec import MINIMIZE

BEST = "best.json"


@dataclass(frozen=True)
class StudyResult:
    """The result of tune, confirm and test."""

    metric: str
    goal: str
    objective: str
    winner: Record
    flags: Sequence[str]  # the winner's
    args: Sequence[str]  # the study's
    claimed: float  # the best value that the search saw
    tested: Mapping[str, Scores]  # "winner" and "defaults"
    seeds: Mapping[str, int]
    environment_steps: int
    cpu_seconds: float
    confirmed: Mapping[int, Scores] = field(default_factory=dict)  # trial -> on fresh seeds
    recipe: Mapping[str, Any] = field(default_factory=dict)  # for `reproduce`
    first_solved: int | None = None  # the first trial whose configuration solves the task there

    @property
    def shown(self) -> float | None:
        """The winner's value in the test."""
        return objective.value(self.tested["winner"], self.objective, self.goal)

    @property
    def optimism_gap(self) -> float | None:
        """By how much the search overestimated the winner; negative if the test score is better."""
        if self.shown is None:
            return None
        sign = -1 if objective.direction(self.objective, self.goal) == MINIMIZE else 1
        return sign * (self.claimed - self.shown)

    @property
    def probability_of_improvement(self) -> float | None:
        """The probability that a new run of the winner beats a new run of the defaults."""
        ours, theirs = (
            objective.utilities(self.tested.get(who, Scores()), self.objective, self.goal)
            for who in ("winner", "defaults")
        )
        return probability_of_improvement(ours, theirs) if ours and theirs else None


def summary(scores: Scores) -> dict[str, Any]:
    """Statistics of a run's agents; None for unknown ones."""
    values = scores.scores or (() if scores.reported is None else (scores.reported,))
    if not values:
        return {}
    solved = [steps for steps in scores.steps_to_solve if steps is not None]
    known = len(scores.steps_to_solve)
    return {
        "agents": len(values),
        "interquartile_mean": float(interquartile_mean(values)),
        "interval": list(interval(values)),
        "mean": statistics.fmean(values),
        "worst": min(values),
        "best": max(values),
        "sampled_mean": scores.sampled_mean,
        "share_solved": len(solved) / known if known else None,
        "share_stayed_solved": sum(map(bool, scores.stayed_solved)) / known if known else None,
        "median_steps_to_solve": statistics.median(solved) if solved else None,
    }


def described(result: StudyResult) -> list[str]:
    """The result as lines for the terminal."""
    lines = [
        labelled("winner", f"trial {result.winner.number}: {shlex.join(result.flags)}"),
        *_scores(result.tested["winner"], result.goal),
    ]
    if "defaults" in result.tested:
        lines += [
            labelled("defaults", "the trainer's own, on the same seeds"),
            *_scores(result.tested["defaults"], result.goal),
        ]
    better = result.probability_of_improvement
    if better is not None:
        lines.append(labelled("better", f"than the defaults with probability {better:.2f}"))
    gap, claimed, shown = result.optimism_gap, result.claimed, result.shown
    if gap is not None and shown is not None:
        lines.append(
            labelled(
                "optimism",
                f"{score(gap, claimed)}: the search claimed {score(claimed, gap)} for its best"
                f" ({result.objective}), the test shows {score(shown, claimed)}",
            )
        )
    solved = result.first_solved or "unknown"
    lines.append(labelled("trials", f"until one was found that is solved on fresh seeds: {solved}"))
    cost = f"{result.environment_steps:,} environment steps"
    if result.cpu_seconds:  # unknown for trials in containers
        cost += f", {result.cpu_seconds:,.0f} CPU s"
    return [*lines, labelled("cost", cost)]


def _scores(scores: Scores, goal: str) -> list[str]:
    found = summary(scores)
    if not found:
        return [labelled("", "no score")]
    low, high = found["interval"]
    worst = found["best"] if goal == MINIMIZE else found["worst"]
    line = f"{with_interval(found['interquartile_mean'], low, high)} greedy"
    if found["sampled_mean"] is not None:
        line += f", {score(found['sampled_mean'], low, high)} sampled"
    lines = [f"{line}; worst of {several(found['agents'], 'seed')} {score(worst, low, high)}"]
    if found["share_solved"] is not None:
        line = f"solved {found['share_solved']:.0%}, stayed solved"
        line += f" {found['share_stayed_solved']:.0%}"
        if found["median_steps_to_solve"] is not None:
            line += f", median steps to solve {found['median_steps_to_solve']:,.0f}"
        lines.append(line)
    return [labelled("", line) for line in lines]


def best_json(result: StudyResult) -> dict[str, Any]:
    """The winner's flags, scores and recipe, as JSON."""
    return {
        "trial": result.winner.number,
        "parameters": dict(result.winner.values),
        "flags": list(result.flags),
        "args": list(result.args),
        "metric": result.metric,
        "objective": result.objective,
        "tuning": {"claimed": result.claimed, "winner": result.winner.value},
        "confirm": {str(number): summary(s) for number, s in result.confirmed.items()},
        "test": {who: summary(scores) for who, scores in result.tested.items()},
        "optimism_gap": result.optimism_gap,
        "probability_of_improvement": result.probability_of_improvement,
        "trials_until_solved": result.first_solved,
        "seeds": dict(result.seeds),
        "reproduce": dict(result.recipe),
        "environment_steps": result.environment_steps,
        "cpu_seconds": round(result.cpu_seconds, 1),
    }
