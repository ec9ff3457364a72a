"""Interquartile means and bootstrap intervals of a few scores (Agarwal et al., 2021)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

BOOTSTRAP_SAMPLES = 2_000


def interquartile_mean(values: ArrayLike) -> NDArray[np.float64]:
    """The mean of the middle half along the last axis.

    A quarter of the values, rounded down, is left out at each end, as SciPy's `trim_mean` does.
    """
    ordered = np.sort(np.asarray(values, np.float64), axis=-1)
    cut = ordered.shape[-1] // 4
    return np.asarray(ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1))


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


def probability_of_improvement(ours: ArrayLike, theirs: ArrayLike) -> float:
    """The probability that one of `ours` is above one of `theirs`; a tie counts half."""
    difference = np.subtract.outer(np.asarray(ours, float), np.asarray(theirs, float))
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))
