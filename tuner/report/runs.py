"""Reads a run's files, whatever state they are in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trainer.contract.job_files import CHECKPOINT, MANIFEST, METRICS, SETTINGS
from trainer.contract.statistics import interval
from tuner.execution.trial import LOG
from tuner.report.model import DAMAGED, SUCCEEDED, UNFINISHED, Estimate, Point, Run
from tuner.search import objective
from tuner.search.objective import Scores
from tuner.spec.study_spec import IQM, LOWER_BOUND, MINIMIZE

SMALL = (MANIFEST, SETTINGS)  # files that are read of every run
SIGNS = (MANIFEST, SETTINGS, METRICS, CHECKPOINT, LOG)  # any of them makes a folder a run's
WITH_INTERVAL = (IQM, LOWER_BOUND)  # objectives that the interval is of
_TOO_LARGE = 1e100  # as a score it is damage, and its square would overflow


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
    scores = _scores(_mapping(manifest.get("scores")))
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
            for name, value in _mapping(provenance.get("settings")).items()
            if isinstance(value, str | bool | int | float)
        },
        {name: str(value) for name, value in _mapping(provenance.get("sources")).items()},
        {name: str(value) for name, value in _mapping(provenance.get("versions")).items()},
        str(provenance.get("git_commit") or ""),
        scores,
        number(manifest.get("wall_seconds")),
    )


def points(content: bytes) -> list[Point]:
    """The evaluations in `metrics.jsonl`, by step; damaged lines are left out."""
    found: dict[int, Point] = {}
    for line in map(json_object, content.splitlines()):
        step = line.get("step")
        scores = _numbers(line.get("scores")) or _numbers([line.get("mean_score")])
        if type(step) is int and step >= 0 and scores:
            found[step] = Point(step, scores)
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
    """The JSON object in these bytes, or an empty one; numbers that nothing can show are None."""
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


def number(found: Any) -> float | None:
    """A number of a plausible size, else None."""
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number and abs(found) < _TOO_LARGE else None


def clean(scores: Scores) -> Scores:
    """The same, without what cannot be a score."""
    return _scores(objective.as_json(scores))


def _scores(found: Mapping[str, Any]) -> Scores:
    scores, steps = _numbers(found.get("scores")), _numbers(found.get("steps"))
    solved, stayed = (_items(found.get(name)) for name in ("steps_to_solve", "stayed_solved"))
    if not len(scores) == len(steps) == len(solved) == len(stayed):
        steps, solved, stayed = (), [], []
    return Scores(
        scores,
        tuple(map(int, steps)),
        tuple(None if (taken := number(item)) is None else int(taken) for item in solved),
        tuple(None if item is None else bool(item) for item in stayed),
        number(found.get("sampled_mean_score", found.get("sampled_mean"))),
        number(found.get("reported")),
    )


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _items(found: Any) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else []


def _numbers(found: Any) -> tuple[float, ...]:
    """A list's numbers without its nulls; empty if it holds anything else."""
    items = [item for item in _items(found) if item is not None]
    numbers = [number(item) for item in items]
    return tuple(item for item in numbers if item is not None) if None not in numbers else ()
