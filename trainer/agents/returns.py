"""Discounted sums over time: returns-to-go and generalised advantages.

All functions work elementwise over the axes after time: agents and environments.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def discounted_sum(
    terms: tf.Tensor, decay: tf.Tensor, longest: tf.Tensor | None = None
) -> tf.Tensor:
    """`y[t] = terms[t] + decay[t] * y[t + 1]`, with `y[T] = 0`; both `[T, ...]`, same type.

    Rows from `longest` on, if it is given, are padding: y is 0 there.
    """
    decay = tf.broadcast_to(decay, tf.shape(terms))
    last = terms.shape[0] - 1 if longest is None else tf.cast(longest, tf.int32) - 1
    sums = tf.TensorArray(terms.dtype, terms.shape[0], element_shape=terms.shape[1:])

    def earlier(t: tf.Tensor, later: tf.Tensor, sums: tf.TensorArray) -> Any:
        now = terms[t] + decay[t] * later
        return t - 1, now, sums.write(t, now)

    return tf.while_loop(
        lambda t, later, sums: t >= 0,
        earlier,
        (tf.convert_to_tensor(last), tf.zeros_like(terms[0]), sums),
    )[2].stack()


def rewards_to_go(
    rewards: tf.Tensor,
    terminated: tf.Tensor,
    truncated: tf.Tensor,
    gamma: tf.Tensor,
    longest: tf.Tensor | None = None,
) -> tf.Tensor:
    """The discounted rewards from each step to the end of its episode, `[T, P, N]` float64.

    REINFORCE (Williams, 1992) has no critic to estimate the rewards after a time limit. They are
    estimated from the episode's mean reward r: `r / (1 - gamma)`, or, without discounting, r for
    as many steps as the episode lasted. In CartPole, an agent that always reaches the time limit
    then has the same return at every step, and stops changing.

    Rows after the end of an episode (padding) must hold zero rewards. Every column holds one
    episode. float64, because standardising would amplify rounding errors of equal returns.
    """
    rewards, ended, cut = (tf.cast(x, tf.float64) for x in (rewards, terminated, truncated))
    gamma = tf.cast(gamma, tf.float64)
    steps = tf.cumsum(tf.ones_like(rewards), axis=0)  # 1, 2, ... = length so far
    mean_reward = tf.cumsum(rewards, axis=0) / steps
    horizon = tf.where(gamma < 1, 1 / tf.maximum(1 - gamma, 1e-12), steps)
    future = cut * (1 - ended) * gamma * mean_reward * horizon
    goes_on = (1 - ended) * (1 - cut)
    return discounted_sum(rewards + future, gamma * goes_on, longest)


def generalised_advantages(
    rewards: tf.Tensor,
    values: tf.Tensor,
    next_values: tf.Tensor,
    terminated: tf.Tensor,
    truncated: tf.Tensor,
    gamma: tf.Tensor,
    gae_lambda: tf.Tensor,
    longest: tf.Tensor | None = None,
) -> tf.Tensor:
    """Advantages by GAE (Schulman et al., 2016, https://arxiv.org/abs/1506.02438), `[T, P, N]`.

    `delta[t] = r[t] + gamma * V(s[t+1]) - V(s[t])`; `A[t] = delta[t] + gamma * lambda * A[t+1]`.
    Termination makes `V(s[t+1])` zero, truncation does not; both end the sum. Padding must hold
    zero rewards and values.
    """
    delta = rewards + gamma * (1 - terminated) * next_values - values
    decay = gamma * gae_lambda * (1 - terminated) * (1 - truncated)
    return discounted_sum(delta, decay, longest)
