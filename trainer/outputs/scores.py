"""The scores of a run: means over agents, spread and bootstrap interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.contract.statistics import interquartile_mean, interval


def summary(greedy: NDArray[np.float64], sampled: NDArray[np.float64]) -> dict[str, Any]:
    """The scores of a run from the returns of its final policies, `[P, episodes]` each.

    With several agents the spread and the interval are over agents. With a single agent they are
    over its episodes. `interval_over` says which.
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
