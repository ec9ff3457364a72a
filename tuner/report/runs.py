"""Reads a run's files, in any state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trainer.contract import run_record
from trainer.contract.job_files import CHECKPOINT, MANIFEST, METRICS, SETTINGS
from trainer.contract.run_record import Point, Scores, mapping, number
from trainer.contract.statistics import interval
from tuner.execution.trial import LOG
from tuner.report.model import DAMAGED, SUCCEEDED, UNFINISHED, Estimate, Run
from tuner.search import objective
from tuner.spec.study_spec import IQM, LOWER_BOUND, MINIMIZE

SMALL = (MANIFEST, SETTINGS)  # files that are read of every run
SIGNS = (MANIFEST, SETTINGS, METRICS, CHECKPOINT, LOG)  # any of them makes a folder a run's
WITH_INTERVAL = (IQM, LOWER_BOUND)  # objectives whose interval is computed


def path(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def read_run(folder: str, contents: Mapping[str, bytes]) -> Run:
    """A run from its small files, by path."""
    found, problems = {}, []
    for name in SMALL:
        content = contents.get(path(folder, name))
        if content is not None:
            found[name] = json_object(content)
            if not found[name]:
                problems.append(f"{name} is not a JSON object.")
    manifest, provenance = found.get(MANIFEST, {}), found.get(SETTINGS, {})
    scores = run_record.scores(manifest, {})
    if manifest and not scores.scores:
        problems.append(f"{MANIFEST} has no scores.")
    state = DAMAGED if problems else SUCCEEDED if manifest else UNFINISHED
    if state == UNFINISHED:
        problems.append(
            "It has no final score: it is still running, was stopped early, or was interrupted."
            if provenance
            else "It has not started."
        )
    return Run(
        folder,
        state,
        problems,
        {
            name: value
            for name, value in mapping(provenance.get("settings")).items()
            if isinstance(value, str | bool | int | float)
        },
        {name: str(value) for name, value in mapping(provenance.get("sources")).items()},
        {name: str(value) for name, value in mapping(provenance.get("versions")).items()},
        str(provenance.get("git_commit") or ""),
        scores,
        number(manifest.get("wall_seconds")),
    )


def points(content: bytes) -> list[Point]:
    """The evaluations in `metrics.jsonl`, by step; damaged lines are left out."""
    found = {point.step: point for point in run_record.curve(content)}
    return [found[step] for step in sorted(found)]


def estimate(scores: Scores, aim: str, goal: str) -> Estimate | None:
    """The objective of a run's agents; None if no score is known."""
    utilities = objective.utilities(scores, aim, goal)
    value = objective.value(scores, aim, goal)
    if value is None or not utilities:
        return None
    ends = min(utilities), max(utilities)
    if aim in WITH_INTERVAL and len(utilities) > 1:
        ends = interval(utilities)
    if objective.direction(aim, goal) == MINIMIZE:
        ends = -ends[1], -ends[0]
    return Estimate(value, *ends, len(utilities))


def json_object(content: bytes) -> dict[str, Any]:
    """The JSON object in these bytes, or an empty one; numbers that cannot be shown become None."""
    try:
        found = json.loads(
            content,
            parse_float=lambda text: number(float(text)),
            parse_int=lambda text: int(text) if len(text) <= 16 else None,
            parse_constant=lambda _: None,
        )
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def clean(scores: Scores) -> Scores:
    """The same scores, without invalid ones."""
    found = objective.as_json(scores) | {"sampled_mean_score": scores.sampled_mean}
    return run_record.scores({"scores": found}, {}, number(scores.reported))
