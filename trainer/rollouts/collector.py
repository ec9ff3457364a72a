"""The interface of a collector, and how actions are sampled."""

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
        """The next rollout. Agents that are not `active` may be skipped: their mask is 0.

        Raises:
            EnvironmentFault: an environment failed; the collector keeps its state.
        """

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

        Agents that are not `active` may be skipped; ignore their returns.
        """

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """The state of environments and random counters between two rollouts, by name."""

    def close(self) -> None:
        """Closes the environments."""

    def restore(self, arrays: Arrays) -> None:
        """Restores a `snapshot`. Raises CheckpointError if its arrays do not fit."""


def choose(logits: Any, uniforms: Any) -> Any:
    """Actions `[...]` int32 drawn from softmax(`logits`) by inverting its distribution function."""
    if isinstance(logits, np.ndarray):  # ufuncs, because their wrappers take half of the time
        largest = np.maximum.reduce(logits, axis=-1, keepdims=True)
        cumulative = np.add.accumulate(np.exp(logits - largest), axis=-1)
        below = cumulative[..., :-1] <= uniforms[..., None] * cumulative[..., -1:]
        return np.add.reduce(below, axis=-1, dtype=np.int32)
    cumulative = tf.cumsum(tf.exp(logits - tf.reduce_max(logits, -1, True)), axis=-1)
    below = cumulative[..., :-1] <= uniforms[..., None] * cumulative[..., -1:]
    return tf.reduce_sum(tf.cast(below, tf.int32), axis=-1)
