"""A parameter in Optuna's terms: its values, the axis to search along, and the way between them.

Trials keep values, in the user's own unit, so that every tool for Optuna's studies shows those.

UNIT_REVERSE_LOG_SCALE is the logarithmic scale seen in a mirror, as in Google's Vizier: the axis
holds `low + high - value`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from trainer.contract.text import number
from tuner.spec.study_spec import CATEGORICAL, DISCRETE, INTEGER, LOG, REVERSE_LOG, Parameter

Value = int | float | str

_GOLDEN = (math.sqrt(5) - 1) / 2


def value_distribution(parameter: Parameter) -> BaseDistribution:
    """The values that a trial may have."""
    if parameter.type in (CATEGORICAL, DISCRETE):
        return CategoricalDistribution(parameter.words or parameter.values)
    low, high = _bounds(parameter)
    if parameter.type == INTEGER:
        return IntDistribution(int(low), int(high), log=parameter.scale == LOG)
    return FloatDistribution(low, high, log=parameter.scale == LOG)


def distribution(parameter: Parameter) -> BaseDistribution:
    """The axis that a sampler searches.

    The points of DISCRETE are steps of equal size whatever lies between them: whoever wrote them
    down has chosen their spacing already.
    """
    log = parameter.scale in (LOG, REVERSE_LOG)
    if parameter.type == CATEGORICAL:
        return CategoricalDistribution(parameter.words)
    if parameter.type == DISCRETE:
        return IntDistribution(0, len(parameter.values) - 1)
    low, high = _bounds(parameter)
    if parameter.type == INTEGER:
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def suggest(trial: optuna.Trial, parameter: Parameter) -> Value:
    """The value of a parameter in a trial; the same one each time a trial is asked."""
    axis = distribution(parameter)
    if isinstance(axis, FloatDistribution):
        return value(
            parameter, trial.suggest_float(parameter.name, axis.low, axis.high, log=axis.log)
        )
    if isinstance(axis, IntDistribution):
        return value(
            parameter, trial.suggest_int(parameter.name, axis.low, axis.high, log=axis.log)
        )
    return value(parameter, trial.suggest_categorical(parameter.name, parameter.words))


def value(parameter: Parameter, point: Value) -> Value:
    """The value that stands at a point of the axis, never past a bound."""
    if parameter.type == CATEGORICAL:
        return str(point)
    if parameter.type == DISCRETE:
        return parameter.values[int(point)]
    low, high = _bounds(parameter)
    found = float(point)
    if parameter.scale == REVERSE_LOG:
        # Bounds are exact; between them 15 digits take back what the mirror's own rounding did.
        bounds = {low: high, high: low}
        found = bounds.get(found, float(f"{low + high - found:.15g}"))
    found = min(max(found, low), high)
    return int(found) if parameter.type == INTEGER else found


def point(parameter: Parameter, value: Value) -> Value:
    """Where a value stands on the axis."""
    if parameter.type == CATEGORICAL:
        return str(value)
    if parameter.type == DISCRETE:
        return parameter.values.index(float(value))
    low, high = _bounds(parameter)
    found = low + high - float(value) if parameter.scale == REVERSE_LOG else float(value)
    found = min(max(found, low), high)
    return int(found) if parameter.type == INTEGER else found


def nearest(parameter: Parameter, wanted: float) -> Value:
    """The value of a parameter of numbers that is nearest to a number."""
    if parameter.type == DISCRETE:
        return min(parameter.values, key=lambda value: abs(value - wanted))
    low, high = _bounds(parameter)
    found = min(max(wanted, low), high)
    return round(found) if parameter.type == INTEGER else found


def text(parameter: Parameter, value: Value) -> str:
    """A value as it stands in a flag: exact, and whole numbers without a point."""
    if parameter.type == DISCRETE:
        return number(float(value))
    return str(value)


def grid_size(parameters: Sequence[Parameter]) -> int:
    """How many points a grid over INTEGER, DISCRETE and CATEGORICAL parameters has."""
    return math.prod(_count(parameter) for parameter in parameters)


def grid_point(
    parameters: Sequence[Parameter], index: int, first: dict[str, Value]
) -> dict[str, Value]:
    """Values by name at the `index`th point, each point once; `first` is the point of index 0.

    Strides of about a golden section spread even a part of the points over the whole grid.
    """
    size = grid_size(parameters)
    stride = max(1, round(size * _GOLDEN))
    while math.gcd(stride, size) > 1:
        stride += 1
    place = (_place(parameters, first) + index * stride) % size
    values: dict[str, Value] = {}
    for parameter in parameters:
        place, step = divmod(place, _count(parameter))
        values[parameter.name] = _step(parameter, step)
    return values


def _bounds(parameter: Parameter) -> tuple[float, float]:
    assert parameter.low is not None and parameter.high is not None, "lint lets no other through"
    return float(parameter.low), float(parameter.high)


def _count(parameter: Parameter) -> int:
    if parameter.type == INTEGER:
        low, high = _bounds(parameter)
        return int(high) - int(low) + 1
    return len(parameter.words) or len(parameter.values)


def _step(parameter: Parameter, step: int) -> Value:
    if parameter.type == INTEGER:
        return int(_bounds(parameter)[0]) + step
    return parameter.words[step] if parameter.words else parameter.values[step]


def _place(parameters: Sequence[Parameter], values: dict[str, Value]) -> int:
    """The place of a point in the plain order; where a value is missing, of its first step."""
    place, unit = 0, 1
    for parameter in parameters:
        if parameter.name in values:
            given = values[parameter.name]
            if parameter.type == INTEGER:
                step = int(given) - int(_bounds(parameter)[0])
            elif parameter.type == DISCRETE:
                step = parameter.values.index(float(given))
            else:
                step = parameter.words.index(str(given))
            place += unit * step
        unit *= _count(parameter)
    return place
