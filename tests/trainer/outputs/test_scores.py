"""The scores of a run: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.contract.statistics import interval
from trainer.outputs.scores import summary


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
