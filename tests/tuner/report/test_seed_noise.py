"""Variance components are found in scores that were made with known ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tuner.report.seed_noise import noise


def test_noise_finds_the_variances_that_made_the_scores() -> None:
    random = np.random.default_rng(0)
    means = random.normal(0, 3, 4000)
    found = noise([list(random.normal(mean, 2, 5)) for mean in means])
    assert found is not None
    assert (found.within, found.between) == pytest.approx((2, 3), rel=0.04)
    assert found.share == pytest.approx(9 / 13, abs=0.02)
    # MS within = ((1+1) + (1+1)) / 2 = 2, MS between = 2 * 8^2 / 2 / 1 = 64: (64 - 2) / 2 = 31.
    small = noise([[1, 3], [9, 11]])
    assert small is not None
    assert (small.within**2, small.between**2) == pytest.approx((2, 31))
    assert noise([[1, 2]]) is None and noise([[1], [2]]) is None
    alike = noise([[5, 5], [5, 5]])
    assert alike is not None and not math.isnan(alike.share)
