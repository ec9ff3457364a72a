"""The objective of a study, computed from a trial's scores."""

from __future__ import annotations

import dataclasses
import json

import pytest

from trainer.contract.run_record import Scores
from trainer.contract.statistics import interval
from tuner.search import objective
from tuner.search.objective import from_json, joined, utilities, value
from tuner.spec.study_spec import (
    IQM,
    LOWER_BOUND,
    MAXIMIZE,
    MEAN,
    MINIMIZE,
    OBJECTIVES,
    STEPS_TO_SOLVE,
)

SCORES = Scores(
    (500.0, 100.0, 400.0, 300.0, 500.0),
    (1000,) * 5,
    (100, None, 300, 400, 200),
    (True, None, True, False, True),
    350.0,
    360.0,
)


@pytest.mark.parametrize(
    "name, expected",
    [
        (IQM, 400.0),  # of 300, 400 and 500
        (MEAN, 360.0),
        (LOWER_BOUND, interval(SCORES.scores)[0]),
        (STEPS_TO_SOLVE, (100 + 2000 + 300 + 400 + 200) / 5),
    ],
)
def test_objectives(name: str, expected: float) -> None:
    assert value(SCORES, name, MAXIMIZE) == expected


def test_every_objective_has_a_value() -> None:
    assert all(value(SCORES, name, goal) is not None for name in OBJECTIVES for goal in
               (MAXIMIZE, MINIMIZE))  # fmt: skip


def test_a_bound_is_the_cautious_one() -> None:
    assert value(SCORES, LOWER_BOUND, MINIMIZE) == interval(SCORES.scores)[1]


def test_utilities_are_larger_where_it_is_better() -> None:
    assert utilities(SCORES, IQM, MINIMIZE)[0] == -500
    assert utilities(SCORES, STEPS_TO_SOLVE, MAXIMIZE) == [-100, -2000, -300, -400, -200]


def test_the_reported_metric_replaces_scores_but_not_steps() -> None:
    assert value(Scores(reported=7.0), IQM, MAXIMIZE) == 7.0
    assert value(Scores(reported=7.0), STEPS_TO_SOLVE, MAXIMIZE) is None
    assert value(Scores(), IQM, MAXIMIZE) is None


def test_scores_come_back_from_json() -> None:
    assert from_json(json.loads(json.dumps(objective.as_json(SCORES)))) == SCORES


def test_two_halves_count_as_one_run() -> None:
    more = Scores((10.0,), (50,), (None,), (None,), 1.0, 3.0, 475.0)
    first = dataclasses.replace(SCORES, sampled_mean=7.0, solved_at=475.0)
    both = joined(first, more)
    assert both.scores == (*SCORES.scores, 10.0)
    assert both.steps == (*SCORES.steps, 50)
    assert both.steps_to_solve == (*SCORES.steps_to_solve, None)
    assert both.sampled_mean == pytest.approx((5 * 7.0 + 1.0) / 6), "agents count alike"
    assert both.solved_at == 475.0
    # Of a trainer that says nothing of its agents each run counts as one.
    assert joined(Scores(reported=1.0), Scores(reported=2.0)).scores == (1.0, 2.0)
    assert joined(first, Scores(reported=2.0)).steps == ()
    assert joined(first, Scores()) == joined(Scores(), first) == first
