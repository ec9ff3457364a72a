"""The result of a study, for the terminal and as best.json."""

from __future__ import annotations

import dataclasses
import json

import pytest

from trainer.contract.run_record import Scores
from tuner.execution.trial import SUCCEEDED
from tuner.outputs.results import StudyResult, best_json, described
from tuner.search.trial_store import Record
from tuner.spec.study_spec import IQM, MAXIMIZE, MINIMIZE, STEPS_TO_SOLVE

WINNER = Scores((500.0,) * 4, (9000,) * 4, (100, 200, 400, 300), (True,) * 4, 499.0)
DEFAULTS = Scores((500.0, 400.0, 300.0, 200.0), (9000,) * 4, (900, None, None, None),
                  (False, None, None, None), 250.0)  # fmt: skip
RESULT = StudyResult(
    metric="mean_score",
    goal=MAXIMIZE,
    objective=IQM,
    winner=Record(7, {"gamma": 0.95}, SUCCEEDED, value=499.0),
    flags=["--gamma=0.95"],
    args=["--algorithm=a2c"],
    claimed=510.0,
    tested={"winner": WINNER, "defaults": DEFAULTS},
    seeds={"tuning": 0, "testing": 2},
    environment_steps=1234567,
    cpu_seconds=89.6,
)


def test_the_end_of_a_study() -> None:
    lines = described(RESULT)
    assert lines[0] == "winner   trial 7: --gamma=0.95"
    assert lines[1] == "         500.0 [500.0, 500.0] greedy, 499.0 sampled; worst of 4 seeds 500.0"
    assert lines[2] == "         solved 100%, stayed solved 100%, median steps to solve 250"
    assert lines[3] == "defaults the trainer's own, on the same seeds"
    assert lines[4].startswith("         350.0 [")
    assert lines[5] == "         solved 25%, stayed solved 0%, median steps to solve 900"
    # The winner beats 3 of 4 seeds and ties with the fourth.
    assert lines[6] == "better   than the defaults with probability 0.88"
    assert lines[7] == (
        "optimism 10.0: the search claimed 510.0 for its best (iqm), the test shows 500.0"
    )
    assert lines[8] == ("trials   until one was found that is solved on fresh seeds: unknown")
    assert lines[9] == "cost     1,234,567 environment steps, 90 CPU s"
    assert described(dataclasses.replace(RESULT, first_solved=3))[8].endswith(" fresh seeds: 3")


@pytest.mark.parametrize(
    "goal, objective, claimed, gap",
    [(MAXIMIZE, IQM, 510, 10), (MINIMIZE, IQM, 490, 10), (MAXIMIZE, STEPS_TO_SOLVE, 200, 50)],
)
def test_the_gap_is_positive_if_the_search_overestimated(
    goal: str, objective: str, claimed: float, gap: float
) -> None:
    result = dataclasses.replace(RESULT, goal=goal, objective=objective, claimed=claimed)
    assert result.optimism_gap == gap


def test_without_defaults_nothing_is_compared() -> None:
    result = dataclasses.replace(RESULT, tested={"winner": WINNER})
    assert result.probability_of_improvement is None
    assert not any(line.startswith(("defaults", "better")) for line in described(result))


def test_the_winner_as_json() -> None:
    found = json.loads(json.dumps(best_json(RESULT), allow_nan=False))
    assert found["flags"] == ["--gamma=0.95"]
    assert found["test"]["defaults"]["share_solved"] == 0.25
    assert found["test"]["winner"]["median_steps_to_solve"] == 250
    assert found["optimism_gap"] == 10
