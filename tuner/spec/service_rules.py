"""What every tuning service refuses, whatever the trainer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from tuner.spec.diagnostics import ERROR, Finding, Place, number, shown
from tuner.spec.study_spec import (
    CATEGORICAL,
    DISCRETE,
    DOUBLE,
    GRID,
    INTEGER,
    LOG,
    NO_SCALE,
    REVERSE_LOG,
    Parameter,
    StudySpec,
)

MAX_DISCRETE_VALUES = 1000
LEAST_STEP = 1e-10  # between discrete values, on Vertex
MAX_COUNT = 2**31 - 1
_DURATION = re.compile(r"[0-9]+(\.[0-9]{1,9})?s")


def check(spec: StudySpec) -> Iterator[Finding]:
    yield from _counts(spec)
    yield from _names(spec)
    for parameter in spec.parameters:
        yield from _bounds(parameter)
        yield from _choices(parameter)
        yield from _scale(parameter)
        if spec.algorithm == GRID and parameter.type == DOUBLE:
            yield _error(
                parameter.places["type"],
                f"{parameter.name}: a parameter of GRID_SEARCH must not be DOUBLE. Write DISCRETE"
                " with the values to try, or choose another algorithm.",
            )
    job = spec.job
    if bool(job.accelerator) != (job.accelerator_count > 0):
        wrong = (
            "an accelerator must have both a type and a count of 1 or more. Write both, or none."
        )
        yield _error(job.places["accelerator"], wrong)
    if job.timeout and not _DURATION.fullmatch(job.timeout):
        yield _error(
            job.places["timeout"],
            f"a time must be in seconds, such as 3600s, but is {shown(job.timeout)}.",
        )


def _error(place: Place, message: str) -> Finding:
    return Finding(ERROR, place, message)


def _counts(spec: StudySpec) -> Iterator[Finding]:
    if "parameters" in spec.places and "parameters.0" not in spec.places:
        yield _error(spec.places["parameters"], "there must be a parameter to tune. Add one.")
    for name, least in (("max_trials", 1), ("max_parallel_trials", 1), ("max_failed_trials", 0)):
        count = getattr(spec, name)
        if not least <= count <= MAX_COUNT:
            message = (
                f"a count of trials must be from {least} to {MAX_COUNT}, but is {shown(count)}."
            )
            yield _error(spec.places[name], message)


def _names(spec: StudySpec) -> Iterator[Finding]:
    if spec.vertex and re.search(r"\s", spec.metric):
        message = (
            "a name on Vertex AI must have no spaces. Write another, and --metric_tag in args."
        )
        yield _error(spec.places["metric"], message)
    first: dict[str, int] = {}
    for parameter in spec.parameters:
        place = parameter.places["name"]
        name = parameter.name.replace("-", "_")  # both spellings are one flag of the trainer
        if name in first:
            message = f"{shown(parameter.name)} is tuned twice, first in line {first[name]}."
            yield _error(place, f"{message} Delete one.")
        first.setdefault(name, place.line)


def _bounds(parameter: Parameter) -> Iterator[Finding]:
    if parameter.type == INTEGER:
        for bound, place in parameter.numbers:
            if not float(bound).is_integer():
                message = f"the bounds of INTEGER must be whole, but this is {number(bound)}."
                yield _error(place, f"{parameter.name}: {message}")
    low, high = parameter.low, parameter.high
    if low is not None and high is not None and low > high:
        yield _error(
            parameter.places["low"],
            f"{parameter.name}: `minValue <= maxValue` must hold, but {number(low)} is more than"
            f" {number(high)}. Exchange them.",
        )


def _choices(parameter: Parameter) -> Iterator[Finding]:
    name, places = parameter.name, parameter.places
    for field, kind in (("words", CATEGORICAL), ("values", DISCRETE)):
        if parameter.type == kind and field in places and f"{field}.0" not in places:
            yield _error(places[field], f"{name}: there must be a value to choose. Add some.")
    count = len(parameter.values)
    if count > MAX_DISCRETE_VALUES:
        yield _error(
            places["values"],
            f"{name}: there must be at most {MAX_DISCRETE_VALUES:,} values, but there are"
            f" {count:,}. Write INTEGER or DOUBLE with bounds.",
        )
    if parameter.type == DISCRETE:
        for (before, _), (value, place) in pairwise(parameter.numbers):
            if value < before + LEAST_STEP:
                yield _error(
                    place,
                    f"{name}: discrete values must increase, but {number(value)} comes after"
                    f" {number(before)}. Sort them, each once.",
                )
                return


def _scale(parameter: Parameter) -> Iterator[Finding]:
    if parameter.type == CATEGORICAL and parameter.scale != NO_SCALE:
        wrong = f"{parameter.name}: words have no scale. Delete scaleType."
        yield _error(parameter.places["scale"], wrong)
    elif parameter.scale in (LOG, REVERSE_LOG) and parameter.numbers:
        least, place = min(parameter.numbers)
        if least <= 0:
            yield _error(
                place,
                f"{parameter.name}: values must be > 0 for {parameter.scale}, but this is"
                f" {number(least)}. Write the least value worth a trial, or UNIT_LINEAR_SCALE.",
            )
