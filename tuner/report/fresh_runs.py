"""Adds to a report the runs on fresh seeds: those of its confirm and test stages."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.report import runs
from tuner.report.model import Estimate, Report, Run
from tuner.search import objective


def added(report: Report, found: Mapping[str, Run]) -> Report:
    """The report with the runs of these folders: those that the newest seeds name."""
    trial = str(report.best.get("trial", ""))
    confirm = _latest(report.seeds, "confirming ")
    test = _latest(report.seeds, f"testing trial {trial}".rstrip() + " ")
    return dataclasses.replace(
        report,
        confirmed=_stage(report, found, "confirm", confirm),
        tested=_stage(report, found, "test", test),
    )


def seeds(found: Any) -> dict[str, int]:
    """The seeds by purpose, as a study keeps them."""
    items = found.items() if isinstance(found, Mapping) else ()
    return {str(purpose): seed for purpose, seed in items if type(seed) is int}


def _stage(
    report: Report, found: Mapping[str, Run], stage: str, seeds: Sequence[int]
) -> dict[str, tuple[Run, Estimate]]:
    """A stage's runs by trial, `winner` or `defaults`; runs of one trial are joined."""
    if not seeds:
        seeds = [max((_seed(f) for f in found if f.startswith(f"{stage}-")), default=-1)]
    joined: dict[str, Run] = {}
    for seed in seeds:  # confirm has two parts, each with a seed of its own
        for folder, run in found.items():
            parent, _, name = folder.partition("/")
            if parent == f"{stage}-{seed}":
                joined[name] = _joined(joined[name], run) if name in joined else run
    estimates = {
        name: (run, runs.estimate(run.scores, report.objective, report.goal))
        for name, run in joined.items()
    }
    return {name: (run, value) for name, (run, value) in estimates.items() if value is not None}


def _latest(seeds: Mapping[str, int], purpose: str) -> list[int]:
    """The newest seeds for a purpose: `5 of 10 seeds` and `the other 5 of 10 seeds` go together."""
    found = [(name, seed) for name, seed in seeds.items() if name.startswith(purpose)]
    total = found[-1][0].rpartition(" of ")[2] if found else ""
    return [seed for name, seed in found if name.rpartition(" of ")[2] == total]


def _joined(first: Run, second: Run) -> Run:
    return dataclasses.replace(first, scores=objective.joined(first.scores, second.scores))


def _seed(folder: str) -> int:
    text = folder.split("/")[0].rpartition("-")[2]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1
