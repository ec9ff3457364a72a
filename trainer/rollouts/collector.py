"""What a collector does, and how every one of them draws its actions."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.networks import Array
from trainer.agents.random_streams import Purpose
from trainer.agents.rollout import Rollout
from trainer.storage.checkpoint import Arrays


class Collector(Protocol):
    """Steps P x N environments with the agents' own policies, from `weights` `[P, size]`."""

    def collect(self, weights: Array, active: NDArray[np.bool_]) -> Rollout:
        """The next rollout. Agents that are not `active` may be skipped: their mask is 0."""

    def play(
        self,
        weights: Array,
        episodes: int,
        purpose: Purpose,
        counter: int,
        *,
        greedy: bool,
        active: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float64]:
        """Undiscounted returns of `episodes` fresh episodes of each agent, `[P, episodes]`.

        Agents that are not `active` may be skipped; their returns are NaN or mean nothing.
        """

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Where environments and random counters stand between two rollouts, by name."""

    def close(self) -> None:
        """Closes the environments."""

    def restore(self, arrays: Arrays) -> None:
        """Takes up a `snapshot`. Raises CheckpointError where it is not one of such a collector."""


def choose(logits: Any, uniforms: Any) -> Any:
    """Actions `[...]` int32 drawn from softmax(`logits`) by inverting its distribution function."""
    xp = np if isinstance(logits, np.ndarray) else tf
    largest = (
        xp.max(logits, axis=-1, keepdims=True) if xp is np else tf.reduce_max(logits, -1, True)
    )
    unnormalised = xp.exp(logits - largest)
    cumulative = xp.cumsum(unnormalised, axis=-1)
    below = cumulative[..., :-1] <= uniforms[..., None] * cumulative[..., -1:]
    if xp is np:
        return np.sum(below, axis=-1, dtype=np.int32)
    return tf.reduce_sum(tf.cast(below, tf.int32), axis=-1)
