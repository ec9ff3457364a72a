"""How much of what trials score is their parameters' doing, and how much their seeds'."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Noise:
    """Standard deviations: of agents of one trial, and of trials beyond what agents explain."""

    within: float
    between: float
    agents: float  # of a trial, on average

    @property
    def share(self) -> float:
        """Of the variance of a single agent's score, the part that parameters explain."""
        total = self.within**2 + self.between**2
        return self.between**2 / total if total else 0.0

    @property
    def least_difference(self) -> float:
        """Two trials that are closer than this cannot be told apart, at 95%."""
        return 1.96 * math.sqrt(2 / self.agents) * self.within


def noise(groups: Sequence[Sequence[float]]) -> Noise | None:
    """The components of variance of a one-way layout with random effects.

    E[MS within] = s_w^2 and E[MS between] = s_w^2 + n0 s_b^2, where n0 is the size of the groups
    if it is the same for all (Searle et al., Variance Components, 1992, 3.6). None where there are
    not two groups, or none has two agents.
    """
    groups = [group for group in groups if len(group)]
    sizes = np.array([len(group) for group in groups], float)
    count, total = len(groups), float(sizes.sum())
    if count < 2 or total <= count:
        return None
    means = np.array([np.mean(group) for group in groups])
    grand = float((sizes * means).sum() / total)
    inside = sum(
        float(((np.asarray(g) - m) ** 2).sum()) for g, m in zip(groups, means, strict=True)
    )
    within = inside / (total - count)
    among = float((sizes * (means - grand) ** 2).sum()) / (count - 1)
    size = (total - float((sizes**2).sum()) / total) / (count - 1)
    return Noise(math.sqrt(within), math.sqrt(max(0.0, among - within) / size), total / count)
