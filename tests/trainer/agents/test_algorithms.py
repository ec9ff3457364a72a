from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer.agents.algorithms import ALGORITHMS, Batch, Coefficients, pg_targets
from trainer.agents.rollout import Rollout


def coefficients(**changes: float) -> Coefficients:
    values = {"gamma": 0.9, "gae_lambda": 0.9, "critic_weight": 0.5, "entropy": 0.0}
    values |= {"value_scale": 1.0, "clip_range": 0.2} | changes
    return Coefficients(*(tf.constant([[values[name]]], tf.float32) for name in values))


def batch(actions: list[int], advantages: list[float], returns: list[float]) -> Batch:
    rows = len(actions)
    return Batch(
        tf.constant([actions]),
        tf.constant([advantages], tf.float32),
        tf.constant([returns], tf.float32),
        tf.fill((1, rows), 1 / rows),
        tf.fill((1, rows), np.float32(np.log(0.5))),
    )


def rollout(rewards: np.ndarray, terminated: np.ndarray, mask: np.ndarray) -> Rollout:
    zeros = tf.zeros((*rewards.shape, 4))
    fields = (rewards, zeros, terminated, 0 * terminated, mask)
    r, o, e, c, m = (tf.cast(x, tf.float32) for x in fields)
    return Rollout(o, tf.zeros(rewards.shape, tf.int32), r, o, e, c, m)


def test_the_a2c_loss_by_hand() -> None:
    # Two transitions under a uniform policy of two actions: log pi = log 1/2 = -0.6931.
    # policy: -mean(-0.6931 * [1, 3]) = 1.3863    value: mean([2 - 1, 0 - 2]^2) = 2.5
    # entropy: 0.6931                              total: 1.3863 + 0.5 * 2.5 - 0.1 * 0.6931
    losses = ALGORITHMS["a2c"].loss(
        tf.zeros((1, 2, 2)),
        tf.constant([[1.0, 2.0]]),
        batch([0, 1], [1, 3], [2, 0]),
        coefficients(entropy=0.1),
    )
    log_2 = np.log(2)
    np.testing.assert_allclose(losses.policy, [[2 * log_2]], rtol=1e-6)
    np.testing.assert_allclose(losses.value, [[2.5]], rtol=1e-6)
    np.testing.assert_allclose(losses.entropy, [[log_2]], rtol=1e-6)
    np.testing.assert_allclose(losses.total, [[2 * log_2 + 1.25 - 0.1 * log_2]], rtol=1e-6)


def test_the_pg_loss_by_hand() -> None:
    logits = tf.math.log([[[0.75, 0.25], [0.75, 0.25]]])
    losses = ALGORITHMS["pg"].loss(
        logits, tf.zeros((1, 2)), batch([0, 1], [1, -1], [0, 0]), coefficients()
    )
    expected = -(np.log(0.75) - np.log(0.25)) / 2
    np.testing.assert_allclose(losses.total, [[expected]], rtol=1e-6)


def test_the_ppo_loss_by_hand() -> None:
    # Old probabilities 1/2, new ones 3/4 and 1/4: ratios 1.5 and 0.5, clipped to 1.2 and 0.8.
    # Advantages [3, 1] standardised: [1, -1]. min(1.5, 1.2) = 1.2 and min(-0.5, -0.8) = -0.8.
    # policy: -(1.2 - 0.8) / 2 = -0.2    value: mean([2 - 1, 0 - 2]^2) = 2.5
    losses = ALGORITHMS["ppo"].loss(
        tf.math.log([[[0.75, 0.25], [0.75, 0.25]]]),
        tf.constant([[1.0, 2.0]]),
        batch([0, 1], [3, 1], [2, 0]),
        coefficients(),
    )
    np.testing.assert_allclose(losses.policy, [[-0.2]], rtol=1e-5)
    np.testing.assert_allclose(losses.total, [[-0.2 + 0.5 * 2.5]], rtol=1e-5)


def test_ppo_moves_no_action_that_is_past_its_clip_range() -> None:
    logits = tf.Variable(tf.math.log([[[0.75, 0.25], [0.25, 0.75]]]))
    with tf.GradientTape() as tape:
        losses = ALGORITHMS["ppo"].loss(
            logits, tf.zeros((1, 2)), batch([0, 0], [3, 1], [0, 0]), coefficients()
        )
    gradients = tape.gradient(losses.policy, logits)[0].numpy()
    # The first action is good and already 1.5 times as likely, the second bad and half as likely.
    np.testing.assert_allclose(gradients, 0, atol=1e-7)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_larger_entropy_weight_makes_the_policy_more_random(algorithm: str) -> None:
    logits = tf.Variable([[[2.0, 0.0]]])
    with tf.GradientTape() as tape:
        losses = ALGORITHMS[algorithm].loss(
            logits, tf.zeros((1, 1)), batch([0], [0.0], [0.0]), coefficients(entropy=1.0)
        )
    [[gradient]] = tape.gradient(losses.total, logits).numpy()
    before = tf.nn.softmax(logits)[0, 0].numpy()
    after = tf.nn.softmax(logits[0, 0] - 0.1 * gradient).numpy()
    assert after.max() < before.max()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_action_becomes_more_likely_and_a_bad_one_less(algorithm: str) -> None:
    logits = tf.Variable(tf.zeros((1, 2, 2)))
    with tf.GradientTape() as tape:
        losses = ALGORITHMS[algorithm].loss(
            logits, tf.zeros((1, 2)), batch([0, 0], [1.0, -1.0], [0, 0]), coefficients()
        )
    [good, bad] = tape.gradient(losses.total, logits)[0].numpy()
    assert good[0] < 0 < bad[0]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_losses_are_means_so_a_batch_repeated_has_the_same_loss(algorithm: str) -> None:
    def loss(times: int) -> np.ndarray:
        repeated = batch([0, 1] * times, [1, 2] * times, [3, 4] * times)
        logits = tf.tile([[[0.3, -0.2], [0.1, 0.5]]], [1, times, 1])
        values = tf.tile([[1.0, 2.0]], [1, times])
        return ALGORITHMS[algorithm].loss(logits, values, repeated, coefficients()).total.numpy()

    np.testing.assert_allclose(loss(1), loss(7), rtol=1e-6)


def test_pg_standardises_over_the_rows_that_count() -> None:
    rewards, terminated, mask = np.zeros((3, 4, 1, 2))
    rewards[:] = 1
    terminated[1, 0, 0] = terminated[3, 0, 1] = 1
    mask[:2, 0, 0] = mask[:, 0, 1] = 1
    targets = pg_targets(rollout(rewards, terminated, mask), None, None, coefficients())
    counted = targets.advantages.numpy()[mask.astype(bool)]
    np.testing.assert_allclose(counted.mean(), 0, atol=1e-6)
    np.testing.assert_allclose(counted.std(), 1, atol=1e-6)


def test_pg_learns_nothing_from_a_round_in_which_nobody_fell() -> None:
    shape = (500, 1, 3)
    full = rollout(np.ones(shape), np.zeros(shape), np.ones(shape))
    full = full._replace(truncated=tf.concat([tf.zeros((499, 1, 3)), tf.ones((1, 1, 3))], 0))
    targets = pg_targets(full, None, None, coefficients(gamma=0.99))
    np.testing.assert_allclose(targets.advantages, 0, atol=1e-3)


def test_a2c_targets_are_advantages_plus_values() -> None:
    shape = (5, 2, 3)
    values = tf.random.stateless_normal(shape, (1, 2))
    c = Coefficients(*(tf.tile(x, [2, 1]) for x in coefficients()))
    targets = ALGORITHMS["a2c"].targets(
        rollout(np.ones(shape), np.zeros(shape), np.ones(shape)), values, values, c
    )
    np.testing.assert_allclose(targets.returns, targets.advantages + values, rtol=1e-6)
