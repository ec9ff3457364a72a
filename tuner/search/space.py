"""Optuna distributions of a parameter: its values, its search axis, and the mapping between them.

Trials store values in the user's unit, so that tools for Optuna show those.

UNIT_REVERSE_LOG_SCALE is the mirrored logarithmic scale of Google's Vizier: a point on the axis is
`low + high - value`.
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

    The values of DISCRETE are equally spaced on the axis: the user has chosen their spacing.
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
    """The value of a parameter in a trial; repeated calls return the same value."""
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
    """The value at a point of the axis, within the bounds."""
    if parameter.type == CATEGORICAL:
        return str(point)
    if parameter.type == DISCRETE:
        return parameter.values[int(point)]
    low, high = _bounds(parameter)
    found = float(point)
    if parameter.scale == REVERSE_LOG:
        # Bounds are exact; between them, 15 digits remove the rounding error of the subtraction.
        bounds = {low: high, high: low}
        found = bounds.get(found, float(f"{low + high - found:.15g}"))
    found = min(max(found, low), high)
    return int(found) if parameter.type == INTEGER else found


def point(parameter: Parameter, value: Value) -> Value:
    """The point of a value on the axis."""
    if parameter.type == CATEGORICAL:
        return str(value)
    if parameter.type == DISCRETE:
        return parameter.values.index(float(value))
    low, high = _bounds(parameter)
    found = low + high - float(value) if parameter.scale == REVERSE_LOG else float(value)
    found = min(max(found, low), high)
    return int(found) if parameter.type == INTEGER else found


def nearest(parameter: Parameter, wanted: float) -> Value:
    """The value of a numeric parameter that is nearest to `wanted`."""
    if parameter.type == DISCRETE:
        return min(parameter.values, key=lambda value: abs(value - wanted))
    low, high = _bounds(parameter)
    found = min(max(wanted, low), high)
    return round(found) if parameter.type == INTEGER else found


def text(parameter: Parameter, value: Value) -> str:
    """A value as text for a flag: exact, and integers without a decimal point."""
    if parameter.type == DISCRETE:
        return number(float(value))
    return str(value)


def grid_size(parameters: Sequence[Parameter]) -> int:
    """The number of points in a grid over INTEGER, DISCRETE and CATEGORICAL parameters."""
    return math.prod(_count(parameter) for parameter in parameters)


def grid_point(
    parameters: Sequence[Parameter], index: int, first: dict[str, Value]
) -> dict[str, Value]:
    """Values by name at the `index`th point, each point once; `first` is the point of index 0.

    A stride near the golden section spreads any number of points over the grid.
    """
    size = grid_size(parameters)
    stride = max(1, round(size * _GOLDEN))
    while math.gcd(stride, size) > 1:
        stride += 1
    position = (_position(parameters, first) + index * stride) % size
    values: dict[str, Value] = {}
    for parameter in parameters:
        position, step = divmod(position, _count(parameter))
        values[parameter.name] = _step(parameter, step)
    return values


def _bounds(parameter: Parameter) -> tuple[float, float]:
    assert parameter.low is not None and parameter.high is not None, "lint requires both bounds"
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


def _position(parameters: Sequence[Parameter], values: dict[str, Value]) -> int:
    """A point's index; the first parameter varies fastest. A missing value counts as the first."""
    position, unit = 0, 1
    for parameter in parameters:
        if parameter.name in values:
            given = values[parameter.name]
            if parameter.type == INTEGER:
                step = int(given) - int(_bounds(parameter)[0])
            elif parameter.type == DISCRETE:
                step = parameter.values.index(float(given))
            else:
                step = parameter.words.index(str(given))
            position += unit * step
        unit *= _count(parameter)
    return position
