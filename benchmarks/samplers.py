"""`python -m benchmarks.samplers`: which of Optuna's samplers a noisy search is best left to.

The template's search space, 30 trials of 5 seeds, 8 at a time, the defaults first; the objective
is A2C's own, on CartPole. So short a training that not every configuration solves the task, or
nothing would tell samplers apart. What counts is what the configuration with the best score is
worth on seeds that no search has seen. Two samplers need more than Optuna: PyTorch and cmaes
(`requirements/benchmarks.txt`).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna import samplers
from optuna.samplers import BaseSampler

from benchmarks.machine import save, table
from benchmarks.many import Search, Trial, options, searching, template, together
from trainer.contract.statistics import interquartile_mean, interval, probability_of_improvement
from tuner.search import sampling
from tuner.spec.study_spec import RANDOM, StudySpec

TRIALS, AGENTS, FRESH_AGENTS = 30, 5, 20
FRESH = 1_000_000  # no search has a seed as large
OURS, CHANCE = "TPE, multivariate (ours)", "random"


def by_name() -> dict[str, Callable[[int], BaseSampler]]:
    """Samplers from seeds."""
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    others = {
        "Gaussian process": ("torch", lambda seed: samplers.GPSampler(seed=seed)),
        "CMA-ES": ("cmaes", lambda seed: samplers.CmaEsSampler(
            seed=seed, n_startup_trials=10, warn_independent_sampling=False
        )),
    }  # fmt: skip
    return {
        OURS: partial(sampling.sampler, ""),
        "TPE, one by one": lambda seed: samplers.TPESampler(multivariate=False, seed=seed),
        "quasi-random": lambda seed: samplers.QMCSampler(
            seed=seed, warn_independent_sampling=False
        ),
        **{name: make for name, (needed, make) in others.items() if find_spec(needed)},
        CHANCE: partial(sampling.sampler, RANDOM),
    }


def worth(
    spec: StudySpec, make: Callable[[int], BaseSampler], repeat: int
) -> Search[tuple[float, float]]:
    """What one search claims, and what its choice is worth."""
    ranked = yield from searching(spec, make, seed=repeat, agents=AGENTS, trials=TRIALS)
    values, claimed = ranked[0]
    (scores,) = yield [Trial(values, FRESH + repeat, FRESH_AGENTS)]
    return claimed, float(interquartile_mean(scores))


def main() -> None:
    chosen = options(__doc__, repeats=20)
    spec, started, makers = template(), time.monotonic(), by_name()
    searches = [worth(spec, make, repeat) for make in makers.values()
                for repeat in range(chosen.repeats)]  # fmt: skip
    found = np.array(together(searches, chosen.total_steps)).reshape(len(makers), -1, 2)
    worths = dict(zip(makers, found[..., 1], strict=True))
    rows: list[list[object]] = [
        ["sampler", "worth of its choice [95%]", "worst", "better than random", "optimism"]
    ]
    for (name, of_name), claimed in zip(worths.items(), found[..., 0], strict=True):
        low, high = interval(of_name)
        rows.append(
            [name, f"{float(interquartile_mean(of_name)):.1f} [{low:.1f}, {high:.1f}]",
             f"{of_name.min():.1f}", f"{probability_of_improvement(of_name, worths[CHANCE]):.2f}",
             f"{np.mean(claimed - of_name):+.1f}"]
        )  # fmt: skip
    print(f"{chosen.repeats} searches each, {chosen.total_steps:,} steps an agent,"
          f" {time.monotonic() - started:.0f} s\n")  # fmt: skip
    print(table(rows))
    print(f"\n{verdict(worths)}")
    save("samplers", {"total_steps": chosen.total_steps, "trials": TRIALS,
                      "worths": {name: x.tolist() for name, x in worths.items()}})  # fmt: skip


def verdict(worths: dict[str, NDArray[np.float64]]) -> str:
    """Whether any sampler is clearly better than ours."""
    _, ours = interval(worths[OURS])
    better = [name for name, x in worths.items() if interval(x)[0] > ours]
    if better:
        return f"Clearly better than ours: {', '.join(better)}."
    return "None is clearly better than ours: no interval lies above that of ours."


if __name__ == "__main__":
    main()
