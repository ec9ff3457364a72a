"""Means, intervals and probabilities of a handful of scores: known answers, SciPy as the oracle."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from trainer.contract.statistics import (
    interquartile_mean,
    interval,
    probability_of_improvement,
)

RETURNS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)
SCORES = st.lists(st.floats(-500, 500), min_size=1, max_size=30)


def test_these_scores_give_the_same_bits_as_ever() -> None:
    """Of trainer and tuner before they shared one function."""
    values = [500.0, 487.25, 131.6, 9.4, 212.7, 498.1, 500.0, 76.33, 301.9]
    assert float(interquartile_mean(values)).hex() == "0x1.464f5c28f5c28p+8"
    low, high = interval(values)
    assert (low.hex(), high.hex()) == ("0x1.08fef9db22d0ep+7", "0x1.eee6666666666p+8")


@given(RETURNS)
def test_the_interquartile_mean_is_scipys_trimmed_mean(values: list[float]) -> None:
    ours = interquartile_mean(np.array(values))
    assert ours == pytest.approx(scipy.stats.trim_mean(values, 0.25), rel=1e-9, abs=1e-6)


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end() -> None:
    values = np.array([1000.0, 1, 2, 3, 4, 5, 6, -1000])  # 2, 3, 4, 5 are the middle half
    assert interquartile_mean(values) == 3.5


def test_the_interquartile_mean_goes_along_the_last_axis() -> None:
    values = np.array([[0.0, 1, 2, 9], [0, 3, 5, 9]])
    assert interquartile_mean(values).tolist() == [1.5, 4]


@given(st.lists(st.integers(0, 500), min_size=1, max_size=30))
def test_the_interval_lies_around_the_interquartile_mean(values: list[int]) -> None:
    low, high = interval(values)
    middle = float(interquartile_mean(np.array(values, np.float64)))
    assert low - 1e-9 <= middle <= high + 1e-9


@given(RETURNS)
def test_the_interval_lies_within_the_values(values: list[float]) -> None:
    low, high = interval(values)
    assert min(values) - 1e-6 <= low <= high <= max(values) + 1e-6


def test_the_same_values_give_the_same_interval() -> None:
    values = np.random.default_rng(1).normal(size=20)
    assert interval(values) == interval(values.copy())


def test_the_interval_of_one_value_is_that_value() -> None:
    assert interval([7.0]) == (7.0, 7.0)


def test_more_confidence_takes_a_wider_interval() -> None:
    values = np.random.default_rng(1).normal(size=20)
    narrow, wide = interval(values, confidence=0.5), interval(values, confidence=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_interval_is_about_that_of_scipys_bootstrap() -> None:
    values = np.random.default_rng(2).normal(400, 50, size=24)
    theirs = scipy.stats.bootstrap(
        (values,),
        lambda x, axis: scipy.stats.trim_mean(x, 0.25, axis=axis),
        method="percentile",
        n_resamples=5_000,
        rng=np.random.default_rng(3),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert interval(values) == pytest.approx((theirs.low, theirs.high), abs=0.1 * width)


def test_probability_of_improvement() -> None:
    assert probability_of_improvement([2, 3], [1]) == 1
    assert probability_of_improvement([1], [1, 1]) == 0.5
    # 1 beats neither, 3 beats 2, 3 ties with 3.
    assert probability_of_improvement([1, 3], [2, 3]) == pytest.approx(1.5 / 4)


@given(SCORES, SCORES)
def test_one_of_two_is_better(a: list[float], b: list[float]) -> None:
    both = (probability_of_improvement(a, b), probability_of_improvement(b, a))
    assert sum(both) == pytest.approx(1)
