"""Which transitions a gradient step sees: every epoch each one once, whatever the padding."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainer.agents.minibatches import Minibatching, Passes, fill_orders, flatten, minibatch
from trainer.agents.random_streams import Streams
from trainer.contract.settings import Hyperparameters

STREAMS = Streams([(0, 0), (0, 1)])


def drawn(agent: int, steps: int, transitions: int, epochs: int = 3) -> NDArray[np.int32]:
    orders = np.zeros((2, epochs, transitions), np.int32)
    chosen = Hyperparameters(epochs=epochs)
    fill_orders(orders, chosen, STREAMS, agent, steps, transitions)
    return orders


def seen(
    live: int, size: int, epochs: int, passes: Passes, room: int
) -> tuple[list[list[int]], list[bool]]:
    """The transitions of each gradient step of one agent, and whether it wants the step."""
    orders = np.zeros((1, passes.epochs, room), np.int32)
    fill_orders(orders, Hyperparameters(epochs=epochs), STREAMS, 0, 0, live)
    each = Minibatching(tf.constant([[epochs]]), tf.constant([[size]]))
    steps, wanted = [], []
    for index in range(epochs * -(-live // min(size, live)) + 1):
        found: Any = minibatch(
            tf.constant(index), passes, each, tf.constant(orders), tf.constant([[live]])
        )
        counts = found.weights.numpy()[0] > 0
        np.testing.assert_allclose(found.weights.numpy().sum(), 1, rtol=1e-6)
        steps.append(found.rows.numpy()[0][counts].tolist())
        wanted.append(bool(found.wanted[0]))
    return steps, wanted


@settings(max_examples=30)
@given(live=st.integers(1, 40), size=st.integers(1, 50), epochs=st.integers(1, 3))
def test_every_epoch_sees_each_transition_once(live: int, size: int, epochs: int) -> None:
    steps, wanted = seen(live, size, epochs, Passes(4, 64), room=48)
    assert wanted == [True] * (len(steps) - 1) + [False]
    an_epoch = -(-live // min(size, live))
    for epoch in range(epochs):
        rows = itertools.chain(*steps[epoch * an_epoch : (epoch + 1) * an_epoch])
        assert sorted(rows) == list(range(live))


def test_a_larger_program_gives_the_same_minibatches() -> None:
    exact, _ = seen(20, 7, 2, Passes(2, 7), room=20)
    larger, _ = seen(20, 7, 2, Passes(8, 32), room=64)
    assert exact[:-1] == larger[:-1]


def test_agents_rollouts_and_epochs_are_shuffled_differently() -> None:
    several = [
        *drawn(0, 0, 50).reshape(-1, 50).tolist(),
        *drawn(1, 0, 50).reshape(-1, 50).tolist(),
    ]
    assert len({tuple(order) for order in several}) == len(several)


def test_an_order_depends_on_the_steps_taken_and_not_on_the_call() -> None:
    np.testing.assert_array_equal(drawn(0, 0, 50)[1], drawn(0, 50, 50)[0])


def test_transitions_of_an_agent_are_numbered_step_by_step() -> None:
    x = tf.reshape(tf.range(2 * 3 * 4), (2, 3, 4))  # [T, P, N]
    np.testing.assert_array_equal(flatten(x)[1], [4, 5, 6, 7, 16, 17, 18, 19])
