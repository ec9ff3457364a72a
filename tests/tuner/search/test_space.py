"""The mapping between a parameter's values and the points of its search axis."""

from __future__ import annotations

import math
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from tuner.search import space
from tuner.spec.study_spec import (
    CATEGORICAL,
    DISCRETE,
    DOUBLE,
    INTEGER,
    LINEAR,
    LOG,
    NO_SCALE,
    REVERSE_LOG,
    Parameter,
)

SCALES = st.sampled_from([NO_SCALE, LINEAR, LOG, REVERSE_LOG])
POSITIVE = st.floats(1e-6, 1e6)


def double(scale: str, low: float, high: float) -> Parameter:
    return Parameter("x", DOUBLE, low, high, scale=scale)


def integer(scale: str, low: int, high: int) -> Parameter:
    return Parameter("x", INTEGER, low, high, scale=scale)


doubles = st.builds(
    lambda scale, a, b: double(scale, min(a, b), max(a, b)), SCALES, POSITIVE, POSITIVE
)
integers = st.builds(
    lambda scale, a, b: integer(scale, min(a, b), max(a, b)),
    SCALES,
    st.integers(1, 10**6),
    st.integers(1, 10**6),
)
discretes = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9, unique=True).map(
    lambda values: Parameter("x", DISCRETE, values=tuple(sorted(values)))
)
categoricals = st.lists(st.text(min_size=1), min_size=1, max_size=9, unique=True).map(
    lambda words: Parameter("x", CATEGORICAL, words=tuple(words))
)
parameters = doubles | integers | discretes | categoricals


@pytest.mark.parametrize(
    "parameter, axis",
    [
        (double(NO_SCALE, 0, 1), FloatDistribution(0, 1)),
        (double(LINEAR, -1, 1), FloatDistribution(-1, 1)),
        (double(LOG, 0.001, 1), FloatDistribution(0.001, 1, log=True)),
        (double(REVERSE_LOG, 0.1, 1), FloatDistribution(0.1, 1, log=True)),
        (integer(LINEAR, 1, 8), IntDistribution(1, 8)),
        (integer(LOG, 1, 8), IntDistribution(1, 8, log=True)),
        (Parameter("x", DISCRETE, values=(4, 64, 512)), IntDistribution(0, 2)),
        (Parameter("x", CATEGORICAL, words=("pg", "a2c")), CategoricalDistribution(("pg", "a2c"))),
    ],
)
def test_the_axis_is_the_one_of_type_and_scale(parameter: Parameter, axis: Any) -> None:
    assert space.distribution(parameter) == axis


@given(parameters, st.integers(0, 2**32 - 1))
def test_a_sampled_value_is_in_range_to_the_last_bit(parameter: Parameter, seed: int) -> None:
    axis = space.distribution(parameter)
    point = RandomSampler(seed=seed).sample_independent(
        optuna.create_study(), optuna.trial.create_trial(value=0.0), "x", axis
    )
    value = space.value(parameter, point)
    if parameter.type in (DOUBLE, INTEGER):
        assert parameter.low <= value <= parameter.high  # type: ignore[operator]
        assert isinstance(value, int if parameter.type == INTEGER else float)
    else:
        assert value in (parameter.words or parameter.values)


@given(parameters, st.data())
def test_a_value_comes_back_from_the_axis(parameter: Parameter, data: st.DataObject) -> None:
    choices = list(parameter.words or parameter.values)
    if parameter.type == INTEGER:
        value = data.draw(st.integers(int(parameter.low or 0), int(parameter.high or 0)))
    elif parameter.type == DOUBLE:
        value = data.draw(st.floats(parameter.low, parameter.high))
    else:
        value = data.draw(st.sampled_from(choices))
    back = space.value(parameter, space.point(parameter, value))
    if parameter.type == DOUBLE and parameter.scale == REVERSE_LOG:
        # The mirror rounds once each way, at the size of its bounds.
        assert back == pytest.approx(value, rel=1e-14, abs=4 * math.ulp(2 * (parameter.high or 0)))
    else:
        assert back == value


@pytest.mark.parametrize("scale", [NO_SCALE, LINEAR, LOG, REVERSE_LOG])
@given(a=POSITIVE, b=POSITIVE)
def test_both_bounds_are_reached_exactly(scale: str, a: float, b: float) -> None:
    low, high = sorted((a, b))
    parameter = double(scale, low, high)
    assert {space.value(parameter, point) for point in (low, high)} == {low, high}


def test_a_reverse_logarithm_is_finer_towards_the_top() -> None:
    parameter = double(REVERSE_LOG, 0.001, 1.0)
    values = [float(space.value(parameter, 0.001 * 10**power)) for power in (0, 1, 2, 3)]
    assert values == pytest.approx([1.0, 0.991, 0.901, 0.001])


def test_a_default_survives_the_mirror() -> None:
    parameter = double(REVERSE_LOG, 0.9, 0.999)
    for value in (0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999):
        assert space.value(parameter, space.point(parameter, value)) == value


@given(parameters, st.data())
def test_the_text_of_a_value_is_exact(parameter: Parameter, data: st.DataObject) -> None:
    axis = space.distribution(parameter)
    if isinstance(axis, FloatDistribution):
        point: Any = data.draw(st.floats(axis.low, axis.high))
    elif isinstance(axis, IntDistribution):
        point = data.draw(st.integers(axis.low, axis.high))
    else:
        point = data.draw(st.sampled_from(parameter.words))
    value = space.value(parameter, point)
    text = space.text(parameter, value)
    assert type(value)(text) == value
    assert parameter.type != INTEGER or "." not in text


def test_integral_discrete_values_have_no_decimal_point() -> None:
    parameter = Parameter("x", DISCRETE, values=(0.5, 128.0))
    assert [space.text(parameter, value) for value in parameter.values] == ["0.5", "128"]


@pytest.mark.parametrize(
    "parameter, wanted, found",
    [
        (double(LOG, 1e-5, 0.03), 0.0, 1e-5),
        (double(LINEAR, 0, 1), 0.25, 0.25),
        (integer(LOG, 8, 128), 256.0, 128),
        (Parameter("x", DISCRETE, values=(16, 64, 256)), 60.0, 64),
    ],
)
def test_the_nearest_value(parameter: Parameter, wanted: float, found: float) -> None:
    assert space.nearest(parameter, wanted) == found


GRIDS = st.lists(
    st.builds(integer, st.just(LINEAR), st.integers(1, 3), st.integers(3, 5))
    | st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True).map(
        lambda values: Parameter("x", DISCRETE, values=tuple(map(float, sorted(values))))
    )
    | st.sampled_from([("a",), ("a", "b"), ("a", "b", "c")]).map(
        lambda words: Parameter("x", CATEGORICAL, words=words)
    ),
    min_size=1,
    max_size=3,
).map(
    lambda made: [
        Parameter(f"p{i}", p.type, p.low, p.high, p.words, p.values) for i, p in enumerate(made)
    ]
)


@given(GRIDS)
def test_a_grid_has_every_point_once(parameters: list[Parameter]) -> None:
    size = space.grid_size(parameters)
    points = [tuple(space.grid_point(parameters, i, {}).values()) for i in range(size)]
    assert len(set(points)) == size


@given(GRIDS, st.integers(0, 100))
def test_a_grid_begins_at_the_given_point(parameters: list[Parameter], index: int) -> None:
    first = space.grid_point(parameters, index, {})
    assert space.grid_point(parameters, 0, first) == first


def test_part_of_a_grid_is_spread_over_all_of_it() -> None:
    parameters = [integer(LINEAR, 0, 99)]
    values = sorted(int(space.grid_point(parameters, i, {})["x"]) for i in range(10))
    assert max(b - a for a, b in zip(values, [*values[1:], 100 + values[0]], strict=True)) <= 20
