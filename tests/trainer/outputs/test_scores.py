"""Scores: known answers, and SciPy as the oracle."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from trainer.outputs.scores import interquartile_mean, interval, summary

RETURNS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


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


def test_the_scores_of_several_agents_are_told_over_agents() -> None:
    greedy = np.array([[100.0, 200], [300, 500], [200, 200], [0, 100]])  # means 150 400 200 50
    scores = summary(greedy, np.full((4, 2), 25.0))
    assert scores["mean_score"] == 200
    assert scores["scores"] == [150, 400, 200, 50]
    assert scores["standard_deviation"] == pytest.approx(np.sqrt((2500 + 40000 + 22500) / 3))
    assert scores["interquartile_mean"] == 175  # of 150 and 200
    assert scores["interval"] == list(interval([150.0, 400, 200, 50]))
    assert scores["interval_over"] == "agents"
    assert scores["worst_agent"] == 50
    assert scores["sampled_mean_score"] == 25


def test_the_scores_of_one_agent_are_told_over_its_episodes() -> None:
    scores = summary(np.array([[10.0, 20, 30, 100]]), np.array([[1.0, 2, 3, 6]]))
    assert scores["mean_score"] == 40
    assert scores["scores"] == [40]
    assert scores["standard_deviation"] == pytest.approx(np.sqrt((900 + 400 + 100 + 3600) / 3))
    assert scores["interquartile_mean"] == 25
    assert scores["interval"] == list(interval([10.0, 20, 30, 100]))
    assert scores["interval_over"] == "episodes"
    assert scores["worst_agent"] == 40
    assert scores["sampled_mean_score"] == 3


def test_one_agent_and_one_episode_have_no_spread() -> None:
    scores = summary(np.array([[12.0]]), np.array([[3.0]]))
    assert scores["standard_deviation"] == 0
    assert scores["interval"] == [12, 12]
