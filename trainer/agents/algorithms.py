"""The learning rules, and a table of how they differ. A new rule is one more row.

A rule is two functions. `targets` computes advantages and returns from a rollout, in time order.
`loss` is minimised over a batch of transitions, whose order does not matter. Both are written for
one agent, and every array may have leading axes for more agents.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from trainer.agents import returns
from trainer.agents.rollout import Rollout


class Coefficients(NamedTuple):
    """What a learning rule reads from the hyperparameters: `[P, 1]` float32, one row an agent."""

    gamma: tf.Tensor
    gae_lambda: tf.Tensor
    critic_weight: tf.Tensor
    entropy: tf.Tensor
    value_scale: tf.Tensor
    clip_range: tf.Tensor


class Targets(NamedTuple):
    """The learning signals of each transition."""

    advantages: tf.Tensor  # [T, P, N] how much better the action was than expected
    returns: tf.Tensor  # [T, P, N] targets of the critic


class Batch(NamedTuple):
    """B transitions of each agent. `weights` sum to 1 over a batch and are 0 on padding."""

    actions: tf.Tensor  # [P, B] int32
    advantages: tf.Tensor  # [P, B]
    returns: tf.Tensor  # [P, B]
    weights: tf.Tensor  # [P, B]
    # [P, B] of the actions under the policy that took them; for rules with minibatches only.
    log_likelihoods: tf.Tensor | float = 0.0


class Losses(NamedTuple):
    """Means over the batch, `[P, 1]`. `total` is minimised; the others are only reported."""

    total: tf.Tensor
    policy: tf.Tensor
    value: tf.Tensor
    entropy: tf.Tensor


def mean(x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The weighted mean of `x` `[P, B]`, `[P, 1]`."""
    return tf.reduce_sum(x * weights, axis=-1, keepdims=True)


def log_likelihood(log_policy: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """log pi(a|s), `[P, B]`, from `log_policy` `[P, B, actions]`."""
    return tf.reduce_sum(log_policy * tf.one_hot(actions, log_policy.shape[-1]), axis=-1)


def mean_entropy(log_policy: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The policy's mean entropy in nats; subtracted from a loss it favours random policies."""
    return mean(-tf.reduce_sum(tf.exp(log_policy) * log_policy, axis=-1), weights)


def pg_targets(
    rollout: Rollout, values: tf.Tensor, next_values: tf.Tensor, c: Coefficients
) -> Targets:
    """REINFORCE (Williams, 1992): returns-to-go, standardised over a batch of complete episodes."""
    rewards = rollout.rewards * rollout.mask
    to_go = returns.rewards_to_go(
        rewards, rollout.terminated, rollout.truncated, c.gamma, rollout.longest
    )
    weights = tf.cast(rollout.mask, to_go.dtype)
    count = tf.maximum(tf.reduce_sum(weights, axis=(0, 2), keepdims=True), 1)
    centred = to_go - tf.reduce_sum(to_go * weights, axis=(0, 2), keepdims=True) / count
    variance = tf.reduce_sum(weights * centred**2, axis=(0, 2), keepdims=True) / count
    advantages = tf.cast(centred / (tf.sqrt(variance) + 1e-8), tf.float32)
    return Targets(advantages, tf.cast(to_go, tf.float32))


def pg_loss(logits: tf.Tensor, values: tf.Tensor, batch: Batch, c: Coefficients) -> Losses:
    """`-mean(log pi(a|s) * A) - entropy * H(pi)`; `logits` `[P, B, actions]`, `values` unused."""
    log_policy = tf.nn.log_softmax(logits)
    policy = -mean(log_likelihood(log_policy, batch.actions) * batch.advantages, batch.weights)
    entropy = mean_entropy(log_policy, batch.weights)
    return Losses(policy - c.entropy * entropy, policy, tf.zeros_like(policy), entropy)


def a2c_targets(
    rollout: Rollout, values: tf.Tensor, next_values: tf.Tensor, c: Coefficients
) -> Targets:
    """Advantage actor-critic (Mnih et al., 2016, https://arxiv.org/abs/1602.01783) with GAE."""
    values, next_values = values * rollout.mask, next_values * rollout.mask
    advantages = returns.generalised_advantages(
        rollout.rewards,
        values,
        next_values,
        rollout.terminated,
        rollout.truncated,
        c.gamma,
        c.gae_lambda,
        rollout.longest,
    )
    return Targets(advantages, advantages + values)


def a2c_loss(logits: tf.Tensor, values: tf.Tensor, batch: Batch, c: Coefficients) -> Losses:
    """`-mean(log pi(a|s) * A) + critic_weight * mean((R - V(s))^2) - entropy * H(pi)`.

    `logits` `[P, B, actions]`, `values` `[P, B]`; the critic's errors count in units of
    `value_scale`.
    """
    log_policy = tf.nn.log_softmax(logits)
    policy = -mean(log_likelihood(log_policy, batch.actions) * batch.advantages, batch.weights)
    errors = (batch.returns - values) / c.value_scale
    value = mean(errors**2, batch.weights)
    entropy = mean_entropy(log_policy, batch.weights)
    return Losses(policy + c.critic_weight * value - c.entropy * entropy, policy, value, entropy)


def ppo_loss(logits: tf.Tensor, values: tf.Tensor, batch: Batch, c: Coefficients) -> Losses:
    """Proximal policy optimisation (Schulman et al., 2017, https://arxiv.org/abs/1707.06347).

    `-mean(min(r A, clip(r, 1 - clip_range, 1 + clip_range) A))` with the probability ratio
    `r = pi(a|s) / pi_old(a|s)` and advantages standardised over the minibatch, and the other terms
    of `a2c_loss`.
    """
    log_policy = tf.nn.log_softmax(logits)
    ratio = tf.exp(log_likelihood(log_policy, batch.actions) - batch.log_likelihoods)
    centred = batch.advantages - mean(batch.advantages, batch.weights)
    advantages = centred / (tf.sqrt(mean(centred**2, batch.weights)) + 1e-8)
    clipped = tf.clip_by_value(ratio, 1 - c.clip_range, 1 + c.clip_range)
    policy = -mean(tf.minimum(ratio * advantages, clipped * advantages), batch.weights)
    value = mean(((batch.returns - values) / c.value_scale) ** 2, batch.weights)
    entropy = mean_entropy(log_policy, batch.weights)
    return Losses(policy + c.critic_weight * value - c.entropy * entropy, policy, value, entropy)


class Algorithm(NamedTuple):
    """How a learning rule differs from the others."""

    targets: Callable[[Rollout, tf.Tensor, tf.Tensor, Coefficients], Targets]
    loss: Callable[[tf.Tensor, tf.Tensor, Batch, Coefficients], Losses]
    critic: bool
    whole_episodes: bool
    minibatches: bool  # an update takes epochs of minibatches, not one step on all of a rollout


ALGORITHMS = {
    "pg": Algorithm(pg_targets, pg_loss, critic=False, whole_episodes=True, minibatches=False),
    "a2c": Algorithm(a2c_targets, a2c_loss, critic=True, whole_episodes=False, minibatches=False),
    "ppo": Algorithm(a2c_targets, ppo_loss, critic=True, whole_episodes=False, minibatches=True),
}
