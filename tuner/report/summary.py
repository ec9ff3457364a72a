"""The headline of a report and the figures below it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from trainer.contract.run_record import number
from trainer.contract.text import several
from tuner.report.formats import big, duration, short
from tuner.report.model import RUN, Estimate, Report, Run, Trial
from tuner.report.seed_noise import Noise
from tuner.spec.study_spec import IQM, LOWER_BOUND

_MEASURES = {
    IQM: "interquartile mean",
    LOWER_BOUND: "lower bound of the interquartile mean",
}


class Headline(NamedTuple):
    """The headline of the page."""

    title: str
    lede: str
    estimate: Estimate | None = None
    over: str = ""  # what the estimate is over
    defaults: Estimate | None = None


class Fact(NamedTuple):
    """A figure with its name and a remark."""

    name: str
    figure: str
    remark: str


def headline(report: Report) -> Headline:
    """The best trial with its score, and whether fresh seeds or the search gave that score."""
    winner = report.winner
    if winner is None or winner.estimate is None:
        return Headline("No score yet", f"Nothing in {report.where} has a final score.")
    found = winner.estimate
    if report.kind == RUN:
        settings = winner.run.settings
        algorithm, environment = (settings.get(name) for name in ("algorithm", "environment"))
        title = f"{str(algorithm).upper()} on {environment}" if algorithm and environment else "Run"
        lede = "The final policies, acting greedily in episodes that training never saw."
        return Headline(title, lede, found, _over(found, "seed"))
    name = f"Trial {winner.name}"
    if not report.best or "winner" not in report.tested:
        lede = (
            f"{name} is the best of {several(len(report.scored), 'scored trial')} so far. The"
            " search chose it by this score, so expect less of it on fresh seeds."
        )
        return Headline(f"{name} leads", lede, found, _over(found, "search seed"))
    found = report.tested["winner"][1]
    lede = (
        f"Chosen among {several(len(report.trials), 'trial')}, then tested on seeds that no part of"
        " the study had used."
    )
    better = number(report.best.get("probability_of_improvement"))
    if better is not None:
        lede += f" A new run of it beats a run of the defaults with probability {better:.2f}."
    defaults = report.tested.get("defaults", (None, None))[1]
    return Headline(f"{name} wins", lede, found, _over(found, "fresh seed"), defaults)


def measure(report: Report) -> str:
    """The name of the objective's statistic over agents."""
    return _MEASURES.get(report.objective, "mean")


def facts(report: Report, noise: Noise | None, score: Callable[[float], str]) -> list[Fact]:
    """The figures below the headline, those that are known."""
    found = []
    if report.kind == RUN:
        scores = report.trials[0].run.scores
        if len(scores.scores) > 1:
            ends = f"{score(min(scores.scores))} to {score(max(scores.scores))}"
            found.append(Fact("Agents", f"{len(scores.scores)}", f"with scores from {ends}"))
        if scores.sampled_mean is not None:
            found.append(
                Fact("Sampled", score(scores.sampled_mean), "if actions are drawn instead")
            )
    else:
        states = [trial.state.lower() for trial in report.trials]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        found.append(Fact("Trials", f"{len(states):,}", counts))
    gap = number(report.best.get("optimism_gap"))
    if gap is not None:
        found.append(Fact("Optimism", short(gap, 3), "search score minus test score"))
    if noise is not None:
        found.append(Fact("Due to parameters", f"{noise.share:.0%}", "of the variance of a score"))
    total = sum(steps for _, steps in budget(report))
    if total:
        found.append(Fact("Environment steps", big(total), "of all agents"))
    cpu = number(report.best.get("cpu_seconds", report.cpu_seconds))
    if cpu:
        found.append(Fact("CPU time", duration(cpu), "of all processes"))
    return found + _times(report)


def budget(report: Report) -> list[tuple[str, int]]:
    """Environment steps of each stage, of all agents."""
    search = sum(_steps(trial.run, trial) for trial in report.trials)
    confirm, test = (
        sum(_steps(run) for run, _ in stage.values()) for stage in (report.confirmed, report.tested)
    )
    stages = [("Search", search), ("Confirm", confirm), ("Test", test)]
    return [(name, steps) for name, steps in stages if steps]


def busy(spans: Sequence[tuple[datetime, datetime]]) -> timedelta:
    """The total time during which at least one of the spans lasted."""
    total, last = timedelta(), None
    for start, end in sorted(spans):
        start = max(start, last or start)
        total += max(end - start, timedelta())
        last = max(end, last or end)
    return total


def _times(report: Report) -> list[Fact]:
    """The time of the search, which is not the sum of its trials' times: they run in parallel."""
    each = [trial.seconds for trial in report.trials if trial.seconds]
    if not each:
        return []
    if report.kind == RUN:
        return [Fact("Time", duration(each[0]), "from start to end")]
    spans = [(t.started, t.ended) for t in report.trials if t.started and t.ended]
    total = busy(spans).total_seconds()
    found = [Fact("Search time", duration(total), "with trials in parallel")] if total else []
    return [*found, Fact("Trial time", duration(statistics.median(each)), "median")]


def _over(found: Estimate, seeds: str) -> str:
    return several(found.agents, seeds) if found.agents > 1 else "one agent"


def _steps(run: Run, trial: Trial | None = None) -> int:
    """Steps of a run's agents; of one that was stopped, up to its last report."""
    counted = sum(run.scores.steps)
    if counted or trial is None or not trial.reports:
        return counted
    agents = run.settings.get("seeds")
    return trial.reports[-1].step * (agents if isinstance(agents, int) else 1)
