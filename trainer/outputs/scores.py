"""Scores that say how lucky they are: means over agents, and how far to trust them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BOOTSTRAP_SAMPLES = 2_000


def interquartile_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of the middle half along the last axis (Agarwal et al., 2021, arXiv:2108.13264).

    A quarter of the values, rounded down, is left out at each end, as SciPy's `trim_mean` does.
    """
    cut = int(values.shape[-1] * 0.25)
    middle = np.sort(values, axis=-1)[..., cut : values.shape[-1] - cut]
    return np.asarray(middle.mean(axis=-1))


def interval(values: ArrayLike, *, confidence: float = 0.95) -> tuple[float, float]:
    """A percentile bootstrap interval of the interquartile mean of independent `values`.

    The resampling has a fixed seed: the same values give the same interval.
    """
    values = np.asarray(values, np.float64)
    draws = np.random.default_rng(0).integers(len(values), size=(BOOTSTRAP_SAMPLES, len(values)))
    low, high = np.quantile(
        interquartile_mean(values[draws]), [(1 - confidence) / 2, (1 + confidence) / 2]
    )
    return float(low), float(high)


def summary(greedy: NDArray[np.float64], sampled: NDArray[np.float64]) -> dict[str, Any]:
    """The scores of a run from the returns of its final policies, `[P, episodes]` each.

    With several agents the spread and the interval are over agents, for that is how runs differ.
    A single agent can only tell how its episodes differ, and `interval_over` says so.
    """
    agents = greedy.mean(axis=1)
    over = agents if len(agents) > 1 else greedy[0]
    return {
        "mean_score": float(agents.mean()),
        "scores": agents.tolist(),
        "standard_deviation": float(over.std(ddof=1)) if len(over) > 1 else 0.0,
        "interquartile_mean": float(interquartile_mean(over)),
        "interval": list(interval(over)),
        "interval_over": "agents" if len(agents) > 1 else "episodes",
        "worst_agent": float(agents.min()),
        "sampled_mean_score": float(sampled.mean()),
    }
