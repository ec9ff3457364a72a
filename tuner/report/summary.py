"""A report in words and figures: the headline, the facts, the rows of the leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tuner.report import runs
from tuner.report.model import RUN, Estimate, Report, Run, Trial
from tuner.report.seed_noise import Noise
from tuner.spec.diagnostics import number


@dataclass(frozen=True)
class Headline:
    """What somebody wants to know who reads one line."""

    title: str
    lede: str
    estimate: Estimate | None
    over: str  # what the interval is over
    defaults: Estimate | None = None


def headline(report: Report) -> Headline:
    """The winner with its score, and on which seeds: fresh ones or those that chose it."""
    winner = report.winner
    if winner is None or winner.estimate is None:
        return Headline("No score yet", f"Nothing in {report.where} has a final score.", None, "")
    tested = report.tested.get("winner") if report.best else None
    if tested is None:
        found = runs.metric(winner.run, report.goal) or winner.estimate
        if report.kind == RUN:
            return _run(report, found)
        who = f"Trial {winner.name}"
        lede = (
            f"{who} is the best of {len(report.scored)} so far by the very score that chose it, so"
            " expect less of it on fresh seeds."
        )
        return Headline(f"{who} leads", lede, found, _over(found, "seeds that chose it"))
    found = runs.metric(tested[0], report.goal) or tested[1]
    defaults = report.tested.get("defaults")
    other = runs.metric(defaults[0], report.goal) if defaults else None
    lede = f"Chosen among {len(report.trials)} trials, then tested on seeds that nobody had used."
    better = report.best.get("probability_of_improvement")
    if isinstance(better, int | float):
        lede += f" A fresh run of it beats one of the defaults with probability {better:.2f}."
    return Headline(f"Trial {winner.name} wins", lede, found, _over(found, "fresh seeds"), other)


def facts(report: Report, noise: Noise | None) -> list[tuple[str, str, str]]:
    """Name, figure, remark."""
    found = []
    if report.kind != RUN:
        states = [trial.state for trial in report.trials]
        counts = ", ".join(
            f"{states.count(state)} {state.lower()}" for state in dict.fromkeys(states)
        )
        found.append(("Trials", f"{len(states):,}", counts))
    gap = report.best.get("optimism_gap")
    if isinstance(gap, int | float):
        found.append(("Optimism gap", f"{gap:.3g}", "claimed by the search, less the test"))
    if noise is not None:
        found.append(("Explained by parameters", f"{noise.share:.0%}", "of an agent's variance"))
    total = sum(steps for _, steps in budget(report))
    if total:
        what = "of all agents" if report.kind == RUN else "all agents, all stages"
        found.append(("Environment steps", big(total), what))
    cpu = report.best.get("cpu_seconds", report.cpu_seconds)
    wall = sum(trial.seconds or 0.0 for trial in report.trials)
    if isinstance(cpu, int | float) and cpu:
        found.append(("CPU time", duration(float(cpu)), "of every process"))
    if wall:
        what = "of the run" if report.kind == RUN else "of the trials, one after the other"
        found.append(("Time", duration(wall), what))
    return found


def budget(report: Report) -> list[tuple[str, int]]:
    """Stage and environment steps of all its agents."""
    search = sum(_steps(trial.run, trial) for trial in report.trials)
    confirm = sum(_steps(run) for run, _ in report.confirmed.values())
    test = sum(_steps(run) for run, _ in report.tested.values())
    name = "Training" if report.kind == RUN else "Search"
    stages = [(name, search), ("Confirm", confirm), ("Test", test)]
    return [(name, steps) for name, steps in stages if steps]


def rows(report: Report) -> list[dict[str, Any]]:
    """The leaderboard."""
    found = []
    ends = [x for t in report.scored if t.estimate for x in (t.estimate.low, t.estimate.high)]
    low, width = (min(ends), (max(ends) - min(ends)) or 1.0) if ends else (0.0, 1.0)
    for rank, trial in enumerate(report.trials, 1):
        row: dict[str, Any] = {
            "trial": trial.name,
            "rank": rank if trial.estimate else None,
            "state": trial.state,
            "reason": trial.reason,
            "seconds": trial.seconds,
            "time": "" if trial.seconds is None else duration(trial.seconds),
            "values": [(name, trial.parameters.get(name)) for name in report.space],
            "wins": report.winner is not None and trial.name == report.winner.name,
        }
        if trial.estimate:
            at = [
                round(100 * (x - low) / width, 1)
                for x in (trial.estimate.low, trial.estimate.high, trial.estimate.value)
            ]
            row |= {"estimate": trial.estimate, "bar": at}
        found.append(row)
    return found


def short(value: Any) -> str:
    """A value for reading: four digits of a number."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return number(float(f"{value:.4g}")) if isinstance(value, float) else str(value)


def score(value: float) -> str:
    return f"{value:,.1f}" if abs(value) >= 1 else f"{value:.3g}"


def big(count: float) -> str:
    """A count in three digits."""
    for unit, name in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}"
    return f"{count:.0f}"


def duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def groups(trials: Sequence[Trial]) -> list[Sequence[float]]:
    """The scores of each trial's agents."""
    return [trial.run.scores.scores for trial in trials]


def _run(report: Report, found: Estimate) -> Headline:
    run = report.trials[0].run
    algorithm = str(run.settings.get("algorithm", "")).upper()
    environment = str(run.settings.get("environment", ""))
    title = f"{algorithm} on {environment}" if algorithm and environment else "One run"
    worst = min(run.scores.scores, default=found.value)
    lede = "The score of the final policies, acting greedily, on fresh episodes."
    if found.agents > 1:
        lede += f" The worst agent has {score(worst)}."
    if run.scores.sampled_mean is not None:
        lede += f" Sampled, the policies score {score(run.scores.sampled_mean)}."
    return Headline(title, lede, found, _over(found, "seeds"))


def _over(found: Estimate, seeds: str) -> str:
    return f"{found.agents} {seeds}" if found.agents > 1 else "episodes of one agent"


def _steps(run: Run, trial: Trial | None = None) -> int:
    counted = sum(run.scores.steps)
    if counted or trial is None or not trial.told:
        return counted
    agents = run.settings.get("seeds")
    return trial.told[-1].step * (agents if isinstance(agents, int) else 1)
