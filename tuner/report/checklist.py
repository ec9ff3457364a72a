"""How to get the winner again, and whether all is known that this takes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from tuner.report.model import RUN, STUDY, Report, Run

# No part of what is learnt.
_ELSEWHERE = {"job_dir", "overwrite", "video", "sync_every", "upload_deadline"}


class Item(NamedTuple):
    """A line of the checklist."""

    name: str
    known: bool
    text: str


def command(report: Report) -> str:
    """The command that makes the headline's score again; empty where it is not known."""
    winner = report.winner
    if winner is None:
        return ""
    run = _scored_run(report)
    given = {
        name: value
        for name, value in run.settings.items()
        if run.sources.get(name) == "flag" and name not in _ELSEWHERE
    }
    if not given and not run.settings:  # the folder is gone; the study knows the flags
        words = [*report.args, *map(str, report.best.get("flags", ()))]
        return _joined(words) if report.best.get("flags") else ""
    return _joined([f"--{name}={value}" for name, value in given.items()])


def checklist(report: Report) -> list[Item]:
    """What a reader needs to get the same figures, and whether it is known."""
    run = _scored_run(report)
    settings = run.settings
    found = [_seeds(report, run), _budget(report, settings)]
    if report.kind != RUN:
        found.append(_space(report))
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    found += [
        Item("Versions", bool(versions), versions or "not recorded"),
        Item("Commit", bool(run.commit), run.commit[:12] or "the trainer came without its history"),
        Item("Task", "environment" in settings, _task(settings)),
        Item("Score", True, _measure(report, settings)),
    ]
    if report.kind != RUN:
        fresh = bool(report.best and report.tested)
        told = "on seeds that no choice was made by" if fresh else "only on the seeds that chose it"
        found.append(Item("Fresh test", fresh, f"The winner was measured {told}."))
        base = "defaults" in report.tested
        told = "on the same seeds as the winner" if base else "not measured beside the winner"
        found.append(Item("Baseline", base, f"The defaults: {told}."))
    return found


def _scored_run(report: Report) -> Run:
    """The run that the headline tells of."""
    if report.best and "winner" in report.tested:
        return report.tested["winner"][0]
    winner = report.winner or next(iter(report.trials), None)
    return winner.run if winner else Run("")


def _joined(words: list[str]) -> str:
    return shlex.join(["python", "-m", "trainer.task", *words, "--job-dir", "runs/again"])


def _seeds(report: Report, run: Run) -> Item:
    if report.seeds:
        text = "; ".join(f"{purpose}: {seed}" for purpose, seed in report.seeds.items())
        return Item("Seeds", True, f"{text}. No two stages share one.")
    if "seed" in run.settings:
        agents = run.settings.get("seeds", 1)
        return Item("Seeds", True, f"seed {run.settings['seed']}, {agents} agents")
    return Item("Seeds", False, "not recorded")


def _budget(report: Report, settings: Mapping[str, Any]) -> Item:
    if "total_steps" not in settings:
        return Item("Budget", False, "not recorded")
    text = f"{settings['total_steps']:,} environment steps an agent"
    if report.kind != RUN:
        seeds = report.trials[0].run.settings.get("seeds") if report.trials else None
        text += f", {len(report.trials):,} trials"
        text += f" of {seeds} agents" if seeds else ""
    return Item("Budget", True, text)


def _space(report: Report) -> Item:
    parts = []
    for name, axis in report.space.items():
        if axis.low is not None and axis.high is not None:
            scale = {"UNIT_LOG_SCALE": " log", "UNIT_REVERSE_LOG_SCALE": " reverse log"}
            parts.append(f"{name} {axis.low:g} to {axis.high:g}{scale.get(axis.scale, '')}")
        else:
            parts.append(f"{name} {{{', '.join(map(str, axis.values))}}}")
    known = bool(parts) and not any(axis.seen for axis in report.space.values())
    text = "; ".join(parts) or "not recorded"
    where = "" if known or not parts else " (as the trials have it: the search space is not here)"
    return Item("Search space", known, text + where)


def _task(settings: Mapping[str, Any]) -> str:
    if "environment" not in settings:
        return "not recorded"
    return f"{settings['environment']}, algorithm {settings.get('algorithm', 'unknown')}"


def _measure(report: Report, settings: Mapping[str, Any]) -> str:
    aims = {"iqm": "interquartile mean", "mean": "mean", "lower_bound": "lower bound of the mean"}
    aim = aims.get(report.objective, report.objective.replace("_", " "))
    text = f"{report.metric}, {aim} over agents, 95% bootstrap interval"
    if report.kind != STUDY:
        text = f"{report.metric} over agents, 95% bootstrap interval"
    episodes = settings.get("evaluation_episodes")
    return f"{text}; {episodes} fresh episodes an agent" if episodes else text
