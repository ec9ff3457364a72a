"""`python -m benchmarks.samplers`: compares Optuna's samplers on a noisy search.

The template's search space for A2C on CartPole: 30 trials of 5 seeds, 8 at a time, the defaults
first. Training is short, because the samplers could not be told apart if every configuration solved
the task. A search is judged by the score of its best configuration on fresh seeds. Two samplers
need PyTorch and cmaes (`requirements/benchmarks.txt`).
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
FRESH = 1_000_000  # first fresh seed, beyond those of the searches
OURS, CHANCE = "TPE, multivariate (ours)", "random"


def by_name() -> dict[str, Callable[[int], BaseSampler]]:
    """Functions that make a sampler from a seed; those whose packages are installed."""
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    others = {
        "Gaussian process": ("torch", lambda seed: samplers.GPSampler(seed=seed)),
        "CMA-ES": ("cmaes", lambda seed: samplers.CmaEsSampler(
            seed=seed, n_startup_trials=10, warn_independent_sampling=False
        )),
    }  # fmt: skip
    return {
        OURS: partial(sampling.sampler, ""),
        "TPE, one parameter at a time": lambda seed: samplers.TPESampler(
            multivariate=False, seed=seed
        ),
        "quasi-random": lambda seed: samplers.QMCSampler(
            seed=seed, warn_independent_sampling=False
        ),
        **{name: make for name, (needed, make) in others.items() if find_spec(needed)},
        CHANCE: partial(sampling.sampler, RANDOM),
    }


def worth(
    spec: StudySpec, make: Callable[[int], BaseSampler], repeat: int
) -> Search[tuple[float, float]]:
    """The score that one search claims, and the score of its choice on fresh seeds."""
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
        ["sampler", "score of its choice [95%]", "worst", "better than random", "optimism"]
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
