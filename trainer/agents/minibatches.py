"""Epochs of minibatches: which transitions of a rollout each gradient step of an update sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.random_streams import Purpose, Streams
from trainer.contract.settings import Hyperparameters


class Passes(NamedTuple):
    """The shape of an update's inner loop; agents of one program may use less of it."""

    epochs: int
    rows: int  # transitions of a minibatch

    @staticmethod
    def of(hyperparameters: Sequence[Hyperparameters]) -> Passes:
        """The smallest shape that is large enough for all of these agents."""
        return Passes(
            max(h.epochs for h in hyperparameters),
            max(min(h.minibatch_size, h.batch_size) for h in hyperparameters),
        )


class Minibatching(NamedTuple):
    """What each agent uses of the passes, `[P, 1]` int32."""

    epochs: tf.Tensor
    minibatch_size: tf.Tensor


class Minibatch(NamedTuple):
    """One gradient step's transitions: rows of a rollout, and how much each one counts."""

    rows: tf.Tensor  # [P, rows] int32, numbers of transitions
    weights: tf.Tensor  # [P, rows] float32, summing to 1; 0 behind a smaller minibatch
    wanted: tf.Tensor  # [P] bool: the agent has not done all of its epochs


def minibatch(
    index: tf.Tensor, passes: Passes, each: Minibatching, orders: tf.Tensor, live: tf.Tensor
) -> Minibatch:
    """The minibatch of each agent's gradient step number `index`.

    Args:
        orders: `[P, epochs, B]` int32, permutations of each agent's transitions.
        live: `[P, 1]` int32, the transitions of each agent; the rest of B is padding.
    """
    size = tf.minimum(each.minibatch_size, tf.maximum(live, 1))
    steps_an_epoch = -(-live // size)
    epoch = index // tf.maximum(steps_an_epoch, 1)
    within = tf.range(passes.rows)
    places = index % tf.maximum(steps_an_epoch, 1) * size + within
    order = tf.gather(orders, tf.minimum(epoch[:, 0], passes.epochs - 1), axis=1, batch_dims=1)
    rows = tf.gather(order, tf.minimum(places, orders.shape[2] - 1), axis=1, batch_dims=1)
    counted = tf.cast((within < size) & (places < live), tf.float32)
    weights = counted / tf.maximum(tf.reduce_sum(counted, axis=1, keepdims=True), 1)
    return Minibatch(rows, weights, (epoch < each.epochs)[:, 0])


def fill_orders(
    orders: NDArray[np.int32],
    hyperparameters: Hyperparameters,
    streams: Streams,
    agent: int,
    steps: int,
    transitions: int,
) -> None:
    """Draws one agent's permutations for its next rollouts into `orders` `[rollouts, epochs, B]`.

    Args:
        steps: environment steps that the agent has taken before the first of them.
        transitions: of a rollout; entries of `orders` behind them are left as they are.
    """
    for rollout, epochs in enumerate(orders):
        generator = streams.generator(Purpose.SHUFFLING, agent, steps + rollout * transitions)
        for order in epochs[: hyperparameters.epochs]:
            order[:transitions] = generator.permutation(transitions)


def flatten(x: Any) -> Any:
    """`[T, P, N, ...]` to `[P, T * N, ...]`: each agent's transitions on one axis."""
    steps, agents, envs, *rest = x.shape
    x = tf.transpose(x, [1, 0, 2, *range(3, 3 + len(rest))])
    return tf.reshape(x, [agents, steps * envs, *rest])
