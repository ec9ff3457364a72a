"""The recipe in best.json: how it is read, and whether a run reproduces it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from tests.support.best_files import BEST
from tuner.outputs import recipe
from tuner.outputs.recipe import Recipe, judge

HERE = {"trainer": "0.1.0", "processor": "A"}
RECIPE = Recipe(
    metric="mean_score",
    seed=2,
    seeds=20,
    others={"gamma": 0.99},
    args=("--total_steps=2000",),
    flags=("--learning_rate=0.01",),
    curve="abc",
    where=HERE,
    score=90.0,
    interval=(80.0, 95.0),
)


def test_a_recipe_is_read_and_is_a_command_with_each_flag_once() -> None:
    found = recipe.read(json.dumps(BEST).encode(), "best.json")
    assert found == RECIPE
    assert found.words(Path("d")) == (
        "--gamma=0.99", "--total_steps=2000", "--seed=2", "--seeds=20", "--job-dir", "d",
        "--learning_rate=0.01",
    )  # fmt: skip


def test_the_same_curve_is_the_same_run_wherever_it_ran() -> None:
    assert judge(RECIPE, "abc", HERE, 90.0).reproduced
    verdict = judge(RECIPE, "abc", HERE | {"processor": "B"}, 90.0)
    assert verdict.reproduced
    assert verdict.lines[0] == "differs  processor A (here B)"


def test_here_another_curve_is_another_run_though_its_score_is_near() -> None:
    verdict = judge(RECIPE, "abd", HERE, 90.0)
    assert not verdict.reproduced
    assert verdict.lines[-1] == (
        "not reproduced: machine and versions are the same, but the curve differs"
    )


@pytest.mark.parametrize("score, reproduced", [(80.0, True), (95.1, False), (None, False)])
def test_on_another_machine_the_interval_decides(score: float | None, reproduced: bool) -> None:
    assert judge(RECIPE, "abd", {"trainer": "0.1.0"}, score).reproduced == reproduced
    without = dataclasses.replace(RECIPE, curve=None)
    assert judge(without, "abd", HERE, score).reproduced == reproduced
