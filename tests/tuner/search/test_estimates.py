"""Means, intervals and probabilities of a handful of scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import trim_mean

from trainer.outputs import scores
from tuner.search import estimates

SCORES = st.lists(st.floats(-500, 500), min_size=1, max_size=30)


@given(SCORES)
def test_the_interquartile_mean_is_scipys(values: list[float]) -> None:
    assert float(estimates.interquartile_mean(values)) == pytest.approx(trim_mean(values, 0.25))


@given(SCORES)
def test_trainer_and_tuner_see_the_same_interval(values: list[float]) -> None:
    assert estimates.interval(values) == scores.interval(values)
    assert estimates.interquartile_mean(values) == scores.interquartile_mean(np.array(values))


@given(SCORES)
def test_an_interval_holds_only_what_was_seen(values: list[float]) -> None:
    low, high = estimates.interval(values)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_probability_of_improvement() -> None:
    assert estimates.probability_of_improvement([2, 3], [1]) == 1
    assert estimates.probability_of_improvement([1], [1, 1]) == 0.5
    # 1 beats neither, 3 beats 2, 3 ties with 3.
    assert estimates.probability_of_improvement([1, 3], [2, 3]) == pytest.approx(1.5 / 4)


@given(SCORES, SCORES)
def test_one_of_two_is_better(a: list[float], b: list[float]) -> None:
    both = (estimates.probability_of_improvement(a, b), estimates.probability_of_improvement(b, a))
    assert sum(both) == pytest.approx(1)
