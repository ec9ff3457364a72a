"""A stack of agents: its updates, and its snapshots.

More than 250 lines, since each promise of a stack of agents has a test, for all algorithms.
"""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.agents.networks import Architecture, forward
from trainer.agents.population import Agents
from trainer.agents.random_streams import Streams
from trainer.agents.rollout import Rollout
from trainer.contract.settings import Batching, Hyperparameters
from trainer.environments import cartpole
from trainer.rollouts.compiled_collector import CompiledCollector
from trainer.storage.checkpoint import CheckpointError

SMALL = Hyperparameters(hidden_neurons=16, batch_size=64, num_envs=4)
ALGORITHMS = ["a2c", "pg", "ppo"]


def make(
    algorithm: str, agents: int, hyperparameters: Hyperparameters = SMALL, seed: int = 0
) -> tuple[Agents, CompiledCollector]:
    streams = Streams([(seed, agent) for agent in range(agents)])
    batching = Batching(hyperparameters, algorithm)
    task = cartpole.VERSIONS["CartPole-v1"]
    architecture = Architecture((4,), 2, hyperparameters.hidden_neurons, algorithm != "pg")
    return (
        Agents(algorithm, architecture, [hyperparameters] * agents, streams),
        CompiledCollector(task, architecture, batching.num_envs, batching.steps, streams),
    )


def learn(agents: Agents, collector: CompiledCollector, updates: int) -> list[np.ndarray]:
    active = np.ones(collector._streams.num_agents, bool)
    for _ in range(updates):
        rollout = collector.collect(agents.state.weights, active)
        steps = collector.collected * collector.transitions
        orders = agents.orders(steps, active, 1, collector.transitions)[:, 0]
        agents.update(rollout, np.ones(len(active)), active, orders)
    return weights(agents)


def weights(agents: Agents) -> list[np.ndarray]:
    return [w.numpy() for w in agents.state[:2]]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_agent_learns_the_same_in_stacks_of_different_size(algorithm: str) -> None:
    small = learn(*make(algorithm, 2), updates=20)
    large = learn(*make(algorithm, 5), updates=20)
    for w, of_large in zip(small, large, strict=True):
        np.testing.assert_allclose(w, of_large[:2], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_seed_gives_bit_identical_weights(algorithm: str) -> None:
    first = learn(*make(algorithm, 3), updates=10)
    second = learn(*make(algorithm, 3), updates=10)
    other = learn(*make(algorithm, 3, seed=1), updates=10)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True) if a.any())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_agents_of_one_stack_differ(algorithm: str) -> None:
    for w in learn(*make(algorithm, 2), updates=3):
        assert not np.array_equal(w[0], w[1])


def test_an_agent_that_sits_out_stays_as_it_is() -> None:
    agents, collector = make("a2c", 2)
    before = weights(agents)
    active = np.array([True, False])
    agents.update(collector.collect(agents.state.weights, active), np.ones(2), active)
    for w, was in zip(weights(agents), before, strict=True):
        assert not np.array_equal(w[0], was[0])
        np.testing.assert_array_equal(w[1], was[1])


def test_an_agent_whose_numbers_overflow_keeps_its_last_finite_weights() -> None:
    agents, collector = make("a2c", 2)
    before, active = weights(agents), np.ones(2, bool)
    rollout = collector.collect(agents.state.weights, active)
    poison = np.ones(rollout.rewards.shape, np.float32)
    poison[0, 1, 0] = np.nan
    update = agents.update(rollout._replace(rewards=tf.constant(poison)), np.ones(2), active)
    np.testing.assert_array_equal(update.finite, [True, False])
    for w, was in zip(weights(agents), before, strict=True):
        assert np.all(np.isfinite(w))
        np.testing.assert_array_equal(w[1], was[1])


def test_agents_may_differ_in_every_coefficient() -> None:
    streams = Streams([(0, 0), (0, 0), (0, 0)])  # the same agent three times over
    slow = replace(SMALL, learning_rate=1e-3)
    stack = [SMALL, slow, replace(SMALL, entropy=0.5, gamma=0.5)]
    architecture, task = Architecture((4,), 2, 16, critic=True), cartpole.VERSIONS["CartPole-v1"]
    agents = Agents("a2c", architecture, stack, streams)
    learn(agents, CompiledCollector(task, architecture, 4, 16, streams), 1)
    alone, collector = make("a2c", 1, slow)
    learn(alone, collector, 1)
    for together, one in zip(weights(agents), weights(alone), strict=True):
        np.testing.assert_allclose(together[1], one[0], rtol=1e-3, atol=1e-5)
        assert not np.allclose(together[0], together[1], atol=1e-7)
        assert not np.allclose(together[0], together[2], atol=1e-7)


def test_padding_does_not_reach_the_weights() -> None:
    agents, collector = make("pg", 1)
    twin, _ = make("pg", 1)
    active = np.ones(1, bool)
    rollout = collector.collect(agents.state.weights, active)
    padding = rollout.mask.numpy() == 0
    garbage = {
        name: tf.constant(np.where(padding[..., None] if value.ndim == 4 else padding, 9, value))
        for name, value in ((n, getattr(rollout, n).numpy()) for n in ("observations", "actions"))
    }
    garbage = {name: tf.cast(x, getattr(rollout, name).dtype) for name, x in garbage.items()}
    agents.update(rollout, np.ones(1), active)
    twin.update(rollout._replace(**garbage), np.ones(1), active)
    for w, of_twin in zip(weights(agents), weights(twin), strict=True):
        np.testing.assert_array_equal(w, of_twin)


def test_long_rounds_in_chunks_give_the_gradient_of_the_whole() -> None:
    """448 steps of rollout, of which chunks of 64 pass through the networks at a time."""
    agents, _ = make("pg", 1)
    shape = (448, 1, 2)
    generator = np.random.default_rng(0)
    terminated = np.zeros(shape, np.float32)
    terminated[[99, 399], 0, [0, 1]] = 1
    mask = np.cumsum(np.cumsum(terminated, 0), 0) <= 1
    observations = tf.constant(generator.normal(size=(*shape, 4)), tf.float32)
    rollout = Rollout(
        observations,
        tf.constant(generator.integers(2, size=shape), tf.int32),
        tf.constant(mask, tf.float32),
        observations,
        tf.constant(terminated),
        tf.zeros(shape),
        tf.constant(mask, tf.float32),
    )
    weights = agents.state.weights
    coefficients = agents.settings.coefficients
    chunked, losses = agents.rule.gradients(coefficients, weights, rollout)
    targets = agents.rule.algorithm.targets(rollout, None, None, coefficients)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        actor = agents.architecture.unpack(weights)["actor"]
        rows = [tf.reshape(x, (1, -1)) for x in (rollout.actions, targets.advantages)]
        logits = forward(actor, tf.reshape(observations, (1, -1, 4)), ())
        chosen = tf.gather(tf.nn.log_softmax(logits), rows[0], axis=2, batch_dims=2)
        loss = -tf.reduce_mean((chosen * rows[1])[tf.reshape(rollout.mask, (1, -1)) > 0])
    np.testing.assert_allclose(losses.policy[0, 0], loss, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(chunked, tape.gradient(loss, weights), rtol=1e-3, atol=1e-6)


def test_adam_takes_the_steps_that_keras_adam_takes() -> None:
    hyperparameters = Hyperparameters(
        learning_rate=0.01,
        max_gradient_norm=1e9,
        adam_epsilon=1e-12,
        adam_beta_1=0.8,
        adam_beta_2=0.99,
    )
    agents, _ = make("a2c", 1, hyperparameters)
    state = agents.state
    variable = keras.Variable(state.weights)
    keras_adam = keras.optimizers.Adam(0.01, 0.8, 0.99, 1e-12)
    generator = np.random.default_rng(0)
    for _ in range(5):
        gradients = tf.constant(generator.normal(size=state.weights.shape), tf.float32)
        state = agents.settings.adam.step(
            state, gradients, tf.constant([[1.0]]), tf.constant([[1.0]])
        )
        keras_adam.apply([gradients], [variable])
    np.testing.assert_allclose(state.weights, variable, rtol=1e-4, atol=1e-6)


def test_a_long_gradient_is_cut_to_the_limit() -> None:
    agents, _ = make("a2c", 1, replace(SMALL, max_gradient_norm=0.5, adam_beta_1=0.8))
    gradients = tf.ones_like(agents.state.weights)
    norm = tf.norm(gradients, axis=1, keepdims=True)
    state = agents.settings.adam.step(agents.state, gradients, norm, tf.constant([[0.0]]))
    np.testing.assert_allclose(tf.norm(state.first_moments), 0.5 * (1 - 0.8), rtol=1e-4)


def test_the_scored_weights_are_the_moving_average_that_the_flag_asks_for() -> None:
    agents, _ = make("a2c", 1, replace(SMALL, averaging=0.75))
    state, seen = agents.state, []
    one = tf.constant([[1.0]])
    for _ in range(6):
        state = agents.settings.adam.step(state, tf.ones_like(state.weights), one, one)
        seen.append(state.weights.numpy())
        shares = 0.75 ** np.arange(len(seen))[::-1]
        expected = np.average(seen, axis=0, weights=shares)
        np.testing.assert_allclose(state.averaged, expected, rtol=1e-4, atol=1e-6)


def test_without_averaging_the_last_weights_are_scored() -> None:
    agents, collector = make("a2c", 2, replace(SMALL, averaging=0.0))
    learn(agents, collector, 3)
    np.testing.assert_array_equal(agents.state.averaged, agents.state.weights)


def test_the_step_size_falls_linearly_only_where_the_flag_says_so() -> None:
    for decay, moves in (("linear", False), ("none", True)):
        agents, collector = make("a2c", 1, replace(SMALL, learning_rate_decay=decay))
        before, active = weights(agents), np.ones(1, bool)
        agents.update(collector.collect(agents.state.weights, active), np.zeros(1), active)
        changed = any(
            not np.array_equal(a, b) for a, b in zip(weights(agents), before, strict=True)
        )
        assert changed == moves


def test_the_update_is_traced_once() -> None:
    agents, collector = make("a2c", 1)
    learn(agents, collector, 4)
    assert agents._update.experimental_get_tracing_count() == 1
    assert collector._rollout.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_agents_that_take_up_a_snapshot_learn_on_as_the_first_would_have(algorithm: str) -> None:
    goes_on, collector = make(algorithm, 2)
    takes_up, _ = make(algorithm, 2, seed=7)
    half = np.array([True, False])
    learn(goes_on, collector, 3)
    goes_on.update(collector.collect(goes_on.state.weights, half), np.ones(2), half)
    takes_up.restore(goes_on.snapshot())
    for active in (half, ~half, half | ~half):
        rollout = collector.collect(goes_on.state.weights, active)
        updates = [x.update(rollout, np.array([0.7, 0.3]), active) for x in (goes_on, takes_up)]
        for ours, theirs in zip(*updates, strict=True):
            assert ours.numpy().tobytes() == theirs.numpy().tobytes()
        for ours, theirs in zip(goes_on.state, takes_up.state, strict=True):
            assert ours.numpy().tobytes() == theirs.numpy().tobytes()


def test_a_snapshot_of_agents_is_one_of_that_moment() -> None:
    agents, collector = make("a2c", 2)
    snapshot = agents.snapshot()
    kept = {name: array.copy() for name, array in snapshot.items()}
    learn(agents, collector, 2)
    assert all(np.array_equal(snapshot[name], array) for name, array in kept.items())


def test_a_snapshot_holds_every_number_of_the_state_to_the_last_bit() -> None:
    agents, collector = make("a2c", 2)
    learn(agents, collector, 2)
    odd = {name: array.copy() for name, array in agents.snapshot().items()}
    odd["weights"][0, :4] = [np.nan, -0.0, 1e-45, np.inf]
    agents.restore(odd)
    for name, array in agents.snapshot().items():
        assert array.tobytes() == odd[name].tobytes()


def test_a_snapshot_of_other_agents_is_refused() -> None:
    agents, _ = make("a2c", 2)
    others = [
        make("a2c", 3)[0],
        make("pg", 2)[0],
        make("a2c", 2, replace(SMALL, hidden_neurons=17))[0],
    ]
    for other in others:
        with pytest.raises(CheckpointError, match=r"its array weights is .* not float32 of shape"):
            agents.restore(other.snapshot())
    with pytest.raises(CheckpointError, match="it has no weights"):
        agents.restore({})
