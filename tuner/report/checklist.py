"""The command that reproduces the headline's score, and a checklist of what that takes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from tuner.report.model import RUN, Report, Run
from tuner.report.summary import measure
from tuner.spec.study_spec import LOG, REVERSE_LOG, STEPS_TO_SOLVE

_SAME_RESULT = {
    "job_dir",
    "overwrite",
    "video",
    "sync_every",
    "upload_deadline",
}  # whatever they are
_SCALES = {LOG: " log", REVERSE_LOG: " reverse log"}


class Item(NamedTuple):
    """A line of the checklist."""

    name: str
    known: bool
    text: str


def command(report: Report) -> str:
    """The command that reproduces the headline's score; empty if it is unknown."""
    if report.winner is None:
        return ""
    run = _scored_run(report)
    words = [
        f"--{name}={value}"
        for name, value in run.settings.items()
        if run.sources.get(name) == "flag" and name not in _SAME_RESULT
    ]
    flags = report.best.get("flags")
    if not run.settings:  # its folder is gone, but the study has the flags
        if not isinstance(flags, list):
            return ""
        words = [*report.args, *map(str, flags)]
    return shlex.join(["python", "-m", "trainer.task", *words, "--job-dir", "runs/again"])


def checklist(report: Report) -> list[Item]:
    """The conditions for reproducing the score, and whether each is known."""
    run = _scored_run(report)
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    found = [
        _seeds(report, run),
        _budget(report, run.settings),
        *([] if report.kind == RUN else [_space(report)]),
        Item("Versions", bool(versions), versions or "not recorded"),
        Item(
            "Commit", bool(run.commit), run.commit[:12] or "the trainer ran outside its repository"
        ),
        _task(run.settings),
        _score(report, run.settings),
    ]
    if report.kind != RUN:
        fresh = bool(report.best and report.tested)
        seeds = "that no choice was based on" if fresh else "that the search chose it by"
        found.append(Item("Fresh test", fresh, f"the winner was measured on seeds {seeds}"))
        base = "defaults" in report.tested
        seeds = "measured on the same seeds as the winner" if base else "not measured"
        found.append(Item("Baseline", base, f"the defaults, {seeds}"))
    return found


def _scored_run(report: Report) -> Run:
    """The run with the headline's score."""
    if report.best and "winner" in report.tested:
        return report.tested["winner"][0]
    winner = report.winner or next(iter(report.trials), None)
    return winner.run if winner else Run("")


def _seeds(report: Report, run: Run) -> Item:
    if report.seeds:
        seeds = "; ".join(f"{purpose}: {seed}" for purpose, seed in report.seeds.items())
        return Item("Seeds", True, f"{seeds}. No two stages share a seed.")
    if "seed" in run.settings:
        agents = run.settings.get("seeds", 1)
        return Item("Seeds", True, f"seed {run.settings['seed']}, {agents} agents")
    return Item("Seeds", False, "not recorded")


def _budget(report: Report, settings: Mapping[str, Any]) -> Item:
    steps = settings.get("total_steps")
    if not isinstance(steps, int):
        return Item("Budget", False, "not recorded")
    found = f"{steps:,} environment steps an agent"
    if report.kind != RUN:
        seeds = next((trial.run.settings.get("seeds") for trial in report.trials), None)
        found += f", {len(report.trials):,} trials" + (f" of {seeds} agents" if seeds else "")
    return Item("Budget", True, found)


def _space(report: Report) -> Item:
    parts = []
    for name, axis in report.space.items():
        if axis.low is not None and axis.high is not None:
            parts.append(f"{name} {axis.low:g} to {axis.high:g}{_SCALES.get(axis.scale, '')}")
        else:
            parts.append(f"{name} {{{', '.join(map(str, axis.words or axis.values))}}}")
    found = "; ".join(parts) or "not recorded"
    if parts and not report.space_recorded:
        found += " (the range of the trials; the search space itself is not recorded here)"
    return Item("Search space", bool(parts) and report.space_recorded, found)


def _task(settings: Mapping[str, Any]) -> Item:
    if "environment" not in settings:
        return Item("Task", False, "not recorded")
    algorithm = settings.get("algorithm", "unknown")
    return Item("Task", True, f"{settings['environment']}, algorithm {algorithm}")


def _score(report: Report, settings: Mapping[str, Any]) -> Item:
    found = f"{report.unit}, {measure(report)} over agents"
    episodes = settings.get("evaluation_episodes")
    found += f"; {episodes} fresh episodes each" if episodes else ""
    if report.objective == STEPS_TO_SOLVE:
        found += "; an agent that never solved the task counts as twice its steps"
    return Item("Score", True, found)
