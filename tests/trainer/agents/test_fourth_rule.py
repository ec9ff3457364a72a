"""A fourth learning rule, written as CONTRIBUTING says: two functions and one row."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer.agents.algorithms import (
    ALGORITHMS,
    Algorithm,
    Batch,
    Coefficients,
    Losses,
    a2c_targets,
    log_likelihood,
    mean,
    mean_entropy,
)
from trainer.agents.networks import Architecture
from trainer.agents.population import Agents
from trainer.agents.random_streams import Purpose, Streams
from trainer.contract.settings import Hyperparameters
from trainer.environments import cartpole
from trainer.rollouts.compiled_collector import CompiledCollector


def weighted_loss(logits: tf.Tensor, values: tf.Tensor, batch: Batch, c: Coefficients) -> Losses:
    """Advantage-weighted regression (Peng et al., 2019): `-mean(exp(A) log pi(a|s))`."""
    log_policy = tf.nn.log_softmax(logits)
    centred = batch.advantages - mean(batch.advantages, batch.weights)
    spread = tf.sqrt(mean(centred**2, batch.weights)) + 1e-8
    weights = tf.exp(tf.clip_by_value(centred / spread, -3.0, 3.0))
    policy = -mean(weights * log_likelihood(log_policy, batch.actions), batch.weights)
    value = mean(((batch.returns - values) / c.value_scale) ** 2, batch.weights)
    entropy = mean_entropy(log_policy, batch.weights)
    return Losses(policy + c.critic_weight * value, policy, value, entropy)


@pytest.mark.parametrize("minibatches", [False, True])
def test_a_rule_of_two_functions_and_one_row_learns(
    monkeypatch: pytest.MonkeyPatch, minibatches: bool
) -> None:
    row = Algorithm(
        a2c_targets, weighted_loss, critic=True, whole_episodes=False, minibatches=minibatches
    )
    monkeypatch.setitem(ALGORITHMS, "awr", row)
    chosen = Hyperparameters(epochs=4, learning_rate=0.01, learning_rate_decay="none")
    streams = Streams([(0, agent) for agent in range(3)])
    architecture = Architecture((4,), 2, 16, critic=True)
    agents = Agents("awr", architecture, [chosen] * 3, streams)
    task = cartpole.VERSIONS["CartPole-v1"]
    collector = CompiledCollector(task, architecture, 4, 64, streams)

    def score() -> float:
        weights = agents.state.averaged
        return float(collector.play(weights, 20, Purpose.VALIDATION, 0, greedy=True).mean())

    before, active = score(), np.ones(3, bool)
    for _ in range(30 if minibatches else 100):
        rollout = collector.collect(agents.state.weights, active)
        steps = collector.collected * collector.transitions
        orders = agents.orders(steps, active, 1, collector.transitions)[:, 0]
        agents.update(rollout, np.ones(3), active, orders)
    assert score() > 2 * before
