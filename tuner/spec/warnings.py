"""Warnings: searches that run, but find little, cost much, or measure the wrong thing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.contract import flags
from trainer.contract.settings import UNUSED
from trainer.contract.text import number, several
from tuner.spec.diagnostics import WARNING, Diagnostic, Location
from tuner.spec.study_spec import (
    BEST,
    DOUBLE,
    INTEGER,
    LINEAR,
    MINIMIZE,
    NO_SCALE,
    Parameter,
    StudySpec,
)

TRIALS_PER_DIMENSION = 4
WIDE = 100  # a range with a larger ratio of its bounds should have a logarithmic scale
SMALL_NETWORK = 1024  # neurons per layer; a CPU is faster than a GPU below this
_ACCELERATED = re.compile(r"gpu|tpu|_[pv]100", re.IGNORECASE)


def check(spec: StudySpec) -> Iterator[Diagnostic]:
    """The warnings about a study."""
    tuned = {
        field.name: parameter
        for parameter in spec.parameters
        if (field := flags.find(parameter.name)) and not flags.not_tunable(field)
    }
    fixed = flags.settings_of(spec.job.args)
    yield from _trials(spec)
    yield from _measuring(spec, fixed)
    yield from _hardware(spec, tuned, fixed)
    yield from _unused(tuned, fixed)
    for name, parameter in tuned.items():
        yield from _scale(name, parameter)
    if "gamma" in tuned:
        yield from _gamma(tuned["gamma"])


def _warning(location: Location, message: str) -> Diagnostic:
    return Diagnostic(WARNING, location, message)


def _trials(spec: StudySpec) -> Iterator[Diagnostic]:
    trials, dimensions = spec.max_trials, len(spec.parameters)
    if 1 < trials <= spec.max_parallel_trials:
        yield _warning(
            spec.locations["max_parallel_trials"],
            f"all {trials} trials run in parallel, so none learns from another. Write"
            f" {max(1, trials // 4)} or fewer.",
        )
    wanted = TRIALS_PER_DIMENSION * dimensions
    if trials == 1 and "max_trials" not in spec.locations:
        name = "maxTrialCount" if spec.vertex else "maxTrials"
        yield _warning(
            spec.locations["max_trials"],
            f"{name} is missing, so there is one trial. Write `{name}: {max(wanted, 2)}` or more.",
        )
    elif trials < wanted:
        yield _warning(
            spec.locations["max_trials"],
            f"{several(trials, 'trial')} find little among {several(dimensions, 'parameter')}."
            f" Write {wanted} or more, four per parameter, or tune fewer.",
        )


def _measuring(spec: StudySpec, fixed: Mapping[str, Any]) -> Iterator[Diagnostic]:
    if spec.goal == MINIMIZE:
        wrong = "this searches for the worst policy: a higher score is better. Write MAXIMIZE."
        yield _warning(spec.locations["goal"], wrong)
    if spec.measurement == BEST:
        yield _warning(
            spec.locations["measurement"],
            "the best report is a lucky one; the last is the score of the saved policy."
            " Write LAST_MEASUREMENT.",
        )
    if fixed["seeds"] < 2:
        yield _warning(
            spec.job.locations["args"],
            "a trial trains one agent, and the best of many single runs is luck. Write --seeds=5"
            " in args: five agents side by side, scored together.",
        )


def _hardware(
    spec: StudySpec, tuned: Mapping[str, Parameter], fixed: Mapping[str, Any]
) -> Iterator[Diagnostic]:
    width = fixed["hidden_neurons"]
    if "hidden_neurons" in tuned and tuned["hidden_neurons"].numbers:
        width = max(tuned["hidden_neurons"].numbers)[0]
    job = spec.job
    if (job.accelerator or _ACCELERATED.search(job.machine_type)) and width <= SMALL_NETWORK:
        yield _warning(
            job.locations["accelerator" if "accelerator" in job.locations else "machine_type"],
            f"{number(width)} neurons a layer leave an accelerator idle, at several times the"
            " price. Write a CPU machine, such as n1-standard-4.",
        )


def _unused(tuned: Mapping[str, Parameter], fixed: Mapping[str, Any]) -> Iterator[Diagnostic]:
    algorithms = {fixed["algorithm"]}
    if "algorithm" in tuned:
        algorithms = set(tuned["algorithm"].words)
    for name, parameter in tuned.items():
        if algorithms and all(name in UNUSED.get(algorithm, ()) for algorithm in algorithms):
            yield _warning(
                parameter.locations["name"],
                f"{' and '.join(sorted(algorithms))} does not use {name}, so tuning it wastes"
                " trials. Delete the parameter.",
            )


def _scale(name: str, parameter: Parameter) -> Iterator[Diagnostic]:
    if parameter.type not in (DOUBLE, INTEGER) or parameter.scale not in (NO_SCALE, LINEAR):
        return
    numbers = [value for value, _ in parameter.numbers]
    low, high = min(numbers, default=1), max(numbers, default=1)
    location = parameter.locations["scale"]
    if name == "learning_rate":
        more = " and a minValue above 0" if low <= 0 else ""
        yield _warning(
            location,
            f"learning rates differ by factors, and a linear scale hardly tries small ones. Write"
            f" UNIT_LOG_SCALE{more}.",
        )
    elif 0 < WIDE * low <= high:
        yield _warning(
            location,
            f"{name}: on a linear scale nine of ten values are above {number(high / 10)}. Write"
            " UNIT_LOG_SCALE.",
        )


def _gamma(parameter: Parameter) -> Iterator[Diagnostic]:
    for value, location in parameter.numbers:
        if value == 1:
            yield _warning(
                location,
                "with gamma 1 the returns are not discounted, and values have no bound. Write 0.999"
                " or less, with UNIT_REVERSE_LOG_SCALE.",
            )
