"""That the defaults learn. Each bound comes with the rate at which it would cry wolf.

A seed's fate differs from machine to machine, since rounding decides it in the end. So a bound is
not what this machine reached, but what chance allows: `benchmarks.learning` measured how many of
100 other seeds are solved after 60k steps. Of that share we take the lower end of its 95%
Clopper-Pearson interval; `FEWEST` is the largest bound that 10 draws with that chance
undercut less than once in a thousand runs. `test_the_bounds_follow_from_the_false_alarm_rate`
holds the arithmetic.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scipy import stats

from benchmarks.experiment import run

pytestmark = pytest.mark.learning

SOLVED, SEEDS, STEPS, FALSE_ALARMS = 475.0, 10, 60_000, 1e-3
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "learning.json"
FEWEST = {"a2c": 7, "pg": 6}


@pytest.mark.parametrize("algorithm", FEWEST)
def test_ten_seeds_are_solved_after_60k_steps(algorithm: str) -> None:
    result = run(
        "--algorithm", algorithm, "--seeds", str(SEEDS), "--seed", "7",
        "--total_steps", str(STEPS), "--stop_at_score", "none",
    )  # fmt: skip
    solved = int((result.greedy >= SOLVED).sum())
    assert solved >= FEWEST[algorithm], f"{solved} of {SEEDS} at {SOLVED}: {result.greedy}"


@pytest.mark.parametrize(("algorithm", "steps"), [("a2c", 150_000), ("pg", 300_000)])
def test_nine_of_ten_seeds_solve_the_task_in_validation(algorithm: str, steps: int) -> None:
    result = run(
        "--algorithm", algorithm, "--seeds", str(SEEDS), "--seed", "8", "--total_steps", str(steps)
    )
    solved = sum(at is not None for at in result.solved_at)
    assert solved >= 9, f"{solved} of {SEEDS} solved within {steps}: {result.solved_at}"


@pytest.mark.parametrize("algorithm", FEWEST)
def test_a_larger_entropy_weight_leaves_a_more_random_policy(algorithm: str) -> None:
    sampled = [
        run(
            "--algorithm", algorithm, "--seeds", "4", "--total_steps", "20000", "--seed", "9",
            "--stop_at_score", "none", "--entropy", str(entropy),
        ).sampled.mean()
        for entropy in (0.0, 1000.0)
    ]  # fmt: skip
    assert sampled[1] < 40 < sampled[0]  # a policy that only wants to be random scores about 22


@pytest.mark.parametrize("algorithm", FEWEST)
def test_the_bounds_follow_from_the_false_alarm_rate(algorithm: str) -> None:
    scores = json.loads(RESULTS.read_text())["runs"][algorithm]["60k"]["greedy"]
    solved = sum(score >= SOLVED for score in scores)
    share = stats.binomtest(solved, len(scores)).proportion_ci(0.95, "exact").low
    alarms = [stats.binom.cdf(bound - 1, SEEDS, share) for bound in range(SEEDS + 1)]
    assert FEWEST[algorithm] == max(b for b, rate in enumerate(alarms) if rate < FALSE_ALARMS)
