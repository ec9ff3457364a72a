"""A run's folder -> what can be read of it, whatever state it is in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from trainer.contract.statistics import interval
from tuner.report.model import DAMAGED, SUCCEEDED, UNFINISHED, Estimate, Point, Run
from tuner.search import objective
from tuner.search.objective import Scores
from tuner.spec.study_spec import IQM, MINIMIZE

MANIFEST, SETTINGS, METRICS = "manifest.json", "hyperparameters.json", "metrics.jsonl"
RECORDING, POLICY = "recording.mp4", "policy.json"
SMALL = (MANIFEST, SETTINGS)  # what is read of every run
SIGNS = (MANIFEST, SETTINGS, METRICS, "checkpoint", "trial.log")  # of a run


def path(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def run(folder: str, contents: Mapping[str, bytes]) -> Run:
    """A run from its small files, by path."""
    problems = []
    found: dict[str, Mapping[str, Any]] = {}
    for name in SMALL:
        content = contents.get(path(folder, name))
        if content is not None:
            found[name] = json_object(content)
            if not found[name]:
                problems.append(f"{name} is no JSON object.")
    manifest, told = found.get(MANIFEST, {}), found.get(SETTINGS, {})
    scores = _scores(_mapping(manifest.get("scores")))
    if manifest and not scores.scores:
        problems.append(f"{MANIFEST} has no scores.")
    if problems:
        state = DAMAGED
    elif manifest:
        state = SUCCEEDED
    else:
        state = UNFINISHED
        problems.append(
            f"No {MANIFEST}: it runs still, or was interrupted." if told else "It has not begun."
        )
    low_high = _numbers(_mapping(manifest.get("scores")).get("interval"))
    seconds = manifest.get("wall_seconds")
    return Run(
        folder,
        state,
        problems,
        {k: v for k, v in _mapping(told.get("settings")).items() if _is_plain(v)},
        {k: str(v) for k, v in _mapping(told.get("sources")).items()},
        {k: str(v) for k, v in _mapping(told.get("versions")).items()},
        str(told.get("git_commit") or ""),
        scores,
        (low_high[0], low_high[1]) if len(low_high) == 2 else None,
        float(seconds) if seconds is not None and _is_number(seconds) else None,
    )


def points(content: bytes) -> list[Point]:
    """The evaluations in `metrics.jsonl`, the lines that are whole; the final scores come last."""
    found: dict[int, Point] = {}
    for text in content.decode("utf-8", errors="replace").splitlines():
        line = json_object(text.encode())
        step, scores = line.get("step"), _numbers(line.get("scores"))
        if not scores and _is_number(line.get("mean_score")):
            scores = (float(line["mean_score"]),)
        if type(step) is int and 0 <= step < 2**53 and scores:
            found[step] = Point(step, scores)
    return [found[step] for step in sorted(found)]


def estimate(
    scores: Scores, aim: str, goal: str, own: tuple[float, float] | None = None
) -> Estimate | None:
    """The objective of a run's agents with its interval; None where no score is known.

    Args:
        own: the interval that the run itself tells, for an agent that is alone.
    """
    utilities = objective.utilities(scores, aim, goal)
    value = objective.value(scores, aim, goal)
    if value is None or not utilities:
        return None
    if len(utilities) == 1:
        low, high = own or (value, value)
    else:
        low, high = interval(utilities)
        if objective.direction(aim, goal) == MINIMIZE:
            low, high = -high, -low
    return Estimate(value, low, high, len(utilities))


def metric(found: Run, goal: str) -> Estimate | None:
    """The metric itself: the interquartile mean of a run's agents."""
    return estimate(found.scores, IQM, goal, found.interval)


def json_object(content: bytes) -> dict[str, Any]:
    """The JSON object in these bytes, empty where they hold none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _scores(found: Mapping[str, Any]) -> Scores:
    scores = _numbers(found.get("scores"))
    steps = _numbers(found.get("steps"))
    solved, stayed = (_items(found.get(name)) for name in ("steps_to_solve", "stayed_solved"))
    sampled = found.get("sampled_mean_score")
    if not len(scores) == len(steps) == len(solved) == len(stayed):
        steps, solved, stayed = (), [], []
    return Scores(
        scores,
        tuple(int(count) for count in steps),
        tuple(int(count) if _is_number(count) else None for count in solved),
        tuple(None if flag is None else bool(flag) for flag in stayed),
        float(sampled) if isinstance(sampled, int | float) and _is_number(sampled) else None,
    )


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _items(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _numbers(found: Any) -> tuple[float, ...]:
    """All of a list's items as numbers; a None is left out, anything else makes it empty."""
    items = [item for item in _items(found) if item is not None]
    return tuple(float(item) for item in items) if all(map(_is_number, items)) else ()


def _is_number(found: Any) -> bool:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    try:
        return math.isfinite(float(found))
    except OverflowError:  # of a whole number
        return False


def _is_plain(found: Any) -> bool:
    return isinstance(found, str | bool) or _is_number(found)
