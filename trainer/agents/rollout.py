"""The batch that collectors fill and learning rules read."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class Rollout(NamedTuple):
    """T steps of N environments for each of P agents, time-major.

    `next_observations[t]` is the true successor, taken before any reset, so a time limit needs no
    special case. `terminated` and `truncated` stay apart: no rewards follow the first, while the
    second only stops the episode. Rows with `mask` 0 are padding and must not reach a loss.
    """

    observations: tf.Tensor  # [T, P, N, *observation]
    actions: tf.Tensor  # [T, P, N] int32, counted from 0
    rewards: tf.Tensor  # [T, P, N] float32
    next_observations: tf.Tensor  # [T, P, N, *observation]
    terminated: tf.Tensor  # [T, P, N] float32, 1 where the task ended the episode
    truncated: tf.Tensor  # [T, P, N] float32, 1 where a time limit cut it
    mask: tf.Tensor  # [T, P, N] float32, 0 where the row is padding

    @property
    def longest(self) -> tf.Tensor:
        """The number of time steps before all rows are padding, float32."""
        return tf.reduce_max(tf.reduce_sum(self.mask, axis=0))
