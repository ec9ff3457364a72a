"""Warnings: what runs, but finds little, costs much, or means something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trainer.contract import flags
from trainer.contract.settings import UNUSED
from tuner.spec.diagnostics import WARNING, Finding, Place, number
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
WIDE = 100  # a range this wide, largest over smallest, wants a logarithmic scale
SMALL_NETWORK = 1024  # neurons a layer; a CPU is done with these before a GPU is fed


def check(spec: StudySpec) -> Iterator[Finding]:
    tuned = {
        field.name: parameter
        for parameter in spec.parameters
        if (field := flags.find(parameter.name))
    }
    fixed = flags.settings_of(spec.job.args)
    yield from _trials(spec)
    yield from _measuring(spec, tuned, fixed)
    yield from _hardware(spec, tuned, fixed)
    yield from _unused(tuned, fixed)
    for name, parameter in tuned.items():
        yield from _scale(name, parameter)
    if "gamma" in tuned:
        yield from _gamma(tuned["gamma"])


def _warning(place: Place, message: str) -> Finding:
    return Finding(WARNING, place, message)


def _trials(spec: StudySpec) -> Iterator[Finding]:
    trials, dimensions = spec.max_trials, len(spec.parameters)
    if 1 < trials <= spec.max_parallel_trials:
        yield _warning(
            spec.places["max_parallel_trials"],
            f"all {trials} trials run in parallel, so none learns from another. Write"
            f" {max(1, trials // 4)} or fewer.",
        )
    wanted = TRIALS_PER_DIMENSION * dimensions
    if trials < wanted:
        yield _warning(
            spec.places["max_trials"],
            f"four trials per parameter are the least that finds anything: {wanted} here, but this"
            f" is {trials}. Write {wanted} or more, or tune fewer.",
        )


def _measuring(
    spec: StudySpec, tuned: Mapping[str, Parameter], fixed: Mapping[str, Any]
) -> Iterator[Finding]:
    if spec.goal == MINIMIZE:
        wrong = "a higher score is better, so this looks for the worst policy. Write MAXIMIZE."
        yield _warning(spec.places["goal"], wrong)
    if spec.measurement == BEST:
        yield _warning(
            spec.places["measurement"],
            "the best report is a lucky one; the last is the score of the policy that is saved."
            " Write LAST_MEASUREMENT.",
        )
    if "seeds" not in tuned and fixed["seeds"] < 2:
        yield _warning(
            spec.job.places["args"],
            "a trial trains one agent, and the best of many single runs is luck. Write --seeds=5"
            " in args: five agents side by side, scored together.",
        )


def _hardware(
    spec: StudySpec, tuned: Mapping[str, Parameter], fixed: Mapping[str, Any]
) -> Iterator[Finding]:
    width = fixed["hidden_neurons"]
    if "hidden_neurons" in tuned and tuned["hidden_neurons"].numbers:
        width = max(tuned["hidden_neurons"].numbers)[0]
    job = spec.job
    accelerated = bool(
        job.accelerator
        or job.machine_type.endswith(("_gpu", "_p100", "_v100"))
        or job.machine_type in ("BASIC_TPU", "cloud_tpu")
    )
    if accelerated and width <= SMALL_NETWORK:
        yield _warning(
            job.places["accelerator" if "accelerator" in job.places else "machine_type"],
            f"{number(width)} neurons a layer leave an accelerator idle, at several times the"
            " price. Write a CPU machine, such as n1-standard-4.",
        )


def _unused(tuned: Mapping[str, Parameter], fixed: Mapping[str, Any]) -> Iterator[Finding]:
    algorithms = {fixed["algorithm"]}
    if "algorithm" in tuned:
        algorithms = set(tuned["algorithm"].words)
    for name, parameter in tuned.items():
        if algorithms and all(name in UNUSED.get(algorithm, ()) for algorithm in algorithms):
            yield _warning(
                parameter.places["name"],
                f"{' and '.join(sorted(algorithms))} has no use for {name}, so tuning it wastes"
                " trials. Delete the parameter.",
            )


def _scale(name: str, parameter: Parameter) -> Iterator[Finding]:
    if parameter.type not in (DOUBLE, INTEGER) or parameter.scale not in (NO_SCALE, LINEAR):
        return
    numbers = [value for value, _ in parameter.numbers]
    low, high = min(numbers, default=1), max(numbers, default=1)
    place = parameter.places["scale"]
    if name == "learning_rate":
        more = " and a minValue above 0" if low <= 0 else ""
        yield _warning(
            place,
            f"a learning rate acts by its factor, and a linear scale hardly tries small ones. Write"
            f" UNIT_LOG_SCALE{more}.",
        )
    elif 0 < WIDE * low <= high:
        yield _warning(
            place,
            f"{name}: on a linear scale nine of ten values are above {number(high / 10)}. Write"
            " UNIT_LOG_SCALE.",
        )


def _gamma(parameter: Parameter) -> Iterator[Finding]:
    for value, place in parameter.numbers:
        if value == 1:
            yield _warning(
                place,
                "at gamma 1 the far future counts in full, and values have no bound. Write 0.999"
                " or less, with UNIT_REVERSE_LOG_SCALE.",
            )
