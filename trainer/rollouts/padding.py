"""Padding of rollouts that hold complete episodes of different lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def padded_length(steps: int, limit: int) -> int:
    """A multiple of 64 that rarely changes, because each new length recompiles the update.

    Args:
        limit: the most steps that an episode can have.
    """
    longest = limit if steps <= limit <= 1024 else 1 << (steps - 1).bit_length()
    return -(-longest // 64) * 64


def pad(values: NDArray[Any], steps: int) -> NDArray[Any]:
    """`values` with zeros behind them, `steps` long."""
    missing = np.zeros((steps - len(values), *values.shape[1:]), values.dtype)
    return np.concatenate([values, missing])
