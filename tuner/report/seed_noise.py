"""Splits the variance of scores into that between trials and that between seeds of one trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Noise:
    """Standard deviations of scores."""

    within: float  # between agents of one trial
    between: float  # between trials, beyond what agents explain
    agents: float  # of a trial, on average

    @property
    def share(self) -> float:
        """The share of parameters in the variance of a single agent's score."""
        total = self.within**2 + self.between**2
        return self.between**2 / total if total else 0.0

    @property
    def least_difference(self) -> float:
        """The difference of two trials' means that seeds alone reach in 5% of cases."""
        return 1.96 * math.sqrt(2 / self.agents) * self.within


def noise(groups: Sequence[Sequence[float]]) -> Noise | None:
    """The variance components of a one-way layout with random effects.

    E[MS within] = s_w^2 and E[MS between] = s_w^2 + n0 s_b^2, where n0 is the groups' common size
    (Searle et al., Variance Components, 1992, 3.6). None if there are fewer than two groups, or
    no group has two agents.
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
