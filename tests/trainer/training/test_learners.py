"""One contract for both learners; and fused rounds against rounds one by one."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer.agents.networks import Architecture
from trainer.agents.population import Agents
from trainer.agents.random_streams import Streams
from trainer.contract.settings import Batching, Hyperparameters
from trainer.environments import cartpole
from trainer.rollouts.compiled_collector import CompiledCollector
from trainer.training.learners import CompiledLearner, Learner, SteppedLearner

SETTINGS = Hyperparameters(hidden_neurons=16, batch_size=32, num_envs=4)
TOTAL = 2_000


def make(kind: type, algorithm: str, agents: int = 3) -> tuple[Learner, Agents]:
    streams = Streams([(0, agent) for agent in range(agents)])
    batching = Batching(SETTINGS, algorithm)
    architecture = Architecture((4,), 2, 16, algorithm == "a2c")
    stack = Agents(algorithm, architecture, [SETTINGS] * agents, streams)
    collector = CompiledCollector(
        cartpole.VERSIONS["CartPole-v1"], architecture, batching.num_envs, batching.steps, streams
    )
    return kind(stack, collector, TOTAL), stack


def go(learner: Learner, agents: int, until: int) -> np.ndarray:
    steps, training = np.zeros(agents, np.int64), np.ones(agents, bool)
    while (steps < until).any():
        steps = learner.learn(steps, training, until).steps
    return steps


@pytest.mark.parametrize("algorithm", ["a2c", "pg"])
def test_fused_rounds_learn_what_rounds_one_by_one_learn(algorithm: str) -> None:
    fused, fused_agents = make(CompiledLearner, algorithm)
    stepped, stepped_agents = make(SteppedLearner, algorithm)
    np.testing.assert_array_equal(go(fused, 3, 640), go(stepped, 3, 640))
    a, b = fused_agents.state, stepped_agents.state
    np.testing.assert_array_equal(a.updates, b.updates)
    np.testing.assert_allclose(a.weights, b.weights, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", [CompiledLearner, SteppedLearner])
@pytest.mark.parametrize("algorithm", ["a2c", "pg"])
def test_agents_stop_at_the_goal_and_those_not_training_do_not_move(
    kind: type, algorithm: str
) -> None:
    learner, agents = make(kind, algorithm)
    before = agents.state.weights.numpy()
    steps, training = np.array([0, 500, 0]), np.array([True, True, False])
    while (training & (steps < 400)).any():
        steps = learner.learn(steps, training, 400).steps
    assert 400 <= steps[0] < 400 + 4 * 500  # at most a round beyond
    assert steps[1] == 500
    assert steps[2] == 0
    moved = (agents.state.weights.numpy() != before).any(axis=1)
    np.testing.assert_array_equal(moved, [True, False, False])


def test_an_agent_learns_the_same_in_fused_stacks_of_different_size() -> None:
    states = []
    for agents in (2, 5):
        learner, stack = make(CompiledLearner, "pg", agents)
        go(learner, agents, 640)
        states.append(stack.state)
    np.testing.assert_array_equal(states[0].updates, states[1].updates[:2])
    np.testing.assert_allclose(states[0].weights, states[1].weights[:2], rtol=1e-3, atol=1e-4)


def test_an_agent_that_overflows_is_told_and_the_others_go_on() -> None:
    learner, stack = make(CompiledLearner, "a2c")
    poisoned = stack.state.weights.numpy()
    poisoned[1] = 1e38
    stack.state = stack.state._replace(weights=tf.constant(poisoned))
    learned = learner.learn(np.zeros(3, np.int64), np.ones(3, bool), 640)
    np.testing.assert_array_equal(learned.finite, [True, False, True])
    assert np.isfinite(stack.state.weights.numpy()).all()
    assert (learned.steps[[0, 2]] == 640).all()
