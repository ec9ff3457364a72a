"""Rules of the tuning services, for any trainer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from trainer.contract.text import number, shown
from tuner.spec.diagnostics import ERROR, Diagnostic, Location
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


def check(spec: StudySpec) -> Iterator[Diagnostic]:
    """The errors of a study."""
    yield from _counts(spec)
    yield from _names(spec)
    for parameter in spec.parameters:
        yield from _bounds(parameter)
        yield from _choices(parameter)
        yield from _scale(parameter)
        if spec.algorithm == GRID and parameter.type == DOUBLE:
            yield _error(
                parameter.locations["type"],
                f"{parameter.name}: GRID_SEARCH has no grid for DOUBLE. Write DISCRETE with the"
                " values to try, or another algorithm.",
            )
    job = spec.job
    if bool(job.accelerator) != (job.accelerator_count > 0):
        wrong = "an accelerator needs both a type and a count. Write both, or neither."
        yield _error(job.locations["accelerator"], wrong)
    if job.timeout and not _DURATION.fullmatch(job.timeout):
        yield _error(
            job.locations["timeout"],
            f"{shown(job.timeout)} is not a time in seconds. Write it such as 3600s.",
        )


def _error(location: Location, message: str) -> Diagnostic:
    return Diagnostic(ERROR, location, message)


def _counts(spec: StudySpec) -> Iterator[Diagnostic]:
    if "parameters" in spec.locations and "parameters.0" not in spec.locations:
        yield _error(spec.locations["parameters"], "there is no parameter to tune. Add one.")
    for name, least in (("max_trials", 1), ("max_parallel_trials", 1), ("max_failed_trials", 0)):
        count = getattr(spec, name)
        if not least <= count <= MAX_COUNT:
            message = f"{shown(count)} is not a number of trials. Write {least} to {MAX_COUNT}."
            yield _error(spec.locations[name], message)


def _names(spec: StudySpec) -> Iterator[Diagnostic]:
    if spec.vertex and re.search(r"\s", spec.metric):
        message = "Vertex AI allows no spaces in names. Write another, and --metric_tag in args."
        yield _error(spec.locations["metric"], message)
    first: dict[str, int] = {}
    for parameter in spec.parameters:
        location = parameter.locations["name"]
        name = parameter.name.replace("-", "_")  # both spellings are one flag of the trainer
        if name in first:
            message = f"{shown(parameter.name)} is tuned twice, first in line {first[name]}."
            yield _error(location, f"{message} Delete one.")
        first.setdefault(name, location.line)


def _bounds(parameter: Parameter) -> Iterator[Diagnostic]:
    if parameter.type == INTEGER:
        for bound, location in parameter.numbers:
            if not float(bound).is_integer():
                message = f"{number(bound)} is not a whole number, which INTEGER requires."
                yield _error(location, f"{parameter.name}: {message}")
    low, high = parameter.low, parameter.high
    if low is not None and high is not None and low > high:
        yield _error(
            parameter.locations["low"],
            f"{parameter.name}: minValue {number(low)} is above maxValue {number(high)}. Swap"
            " them.",
        )


def _choices(parameter: Parameter) -> Iterator[Diagnostic]:
    name, locations = parameter.name, parameter.locations
    for field, kind in (("words", CATEGORICAL), ("values", DISCRETE)):
        if parameter.type == kind and field in locations and f"{field}.0" not in locations:
            yield _error(locations[field], f"{name}: there is no value to choose. Add some.")
    count = len(parameter.values)
    if count > MAX_DISCRETE_VALUES:
        yield _error(
            locations["values"],
            f"{name}: {count:,} values are more than {MAX_DISCRETE_VALUES:,}. Write INTEGER or"
            " DOUBLE with bounds.",
        )
    if parameter.type == DISCRETE:
        for (before, _), (value, location) in pairwise(parameter.numbers):
            if value < before + LEAST_STEP:
                yield _error(
                    location,
                    f"{name}: {number(value)} comes after {number(before)}, but discrete values"
                    " increase. Sort them, each once.",
                )
                return


def _scale(parameter: Parameter) -> Iterator[Diagnostic]:
    if parameter.type == CATEGORICAL and parameter.scale != NO_SCALE:
        wrong = f"{parameter.name}: words have no scale. Delete scaleType."
        yield _error(parameter.locations["scale"], wrong)
    elif parameter.scale in (LOG, REVERSE_LOG) and parameter.numbers:
        least, location = min(parameter.numbers)
        if least <= 0:
            yield _error(
                location,
                f"{parameter.name}: {number(least)} has no logarithm, which {parameter.scale}"
                " needs. Write the smallest useful value above 0, or UNIT_LINEAR_SCALE.",
            )
