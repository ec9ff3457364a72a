"""The compiled dynamics against Gymnasium's, which are the definition of the task."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer.environments import cartpole, spec
from trainer.run import setup

ENVIRONMENTS = ["CartPole-v0", "CartPole-v1"]


def gymnasium_step(env: gym.Env, state: np.ndarray, action: int) -> tuple[np.ndarray, bool]:
    env.reset(seed=0)
    env.unwrapped.state = tuple(state)
    *_, terminated, _, _ = env.unwrapped.step(action)
    return np.array(env.unwrapped.state), terminated


@pytest.mark.parametrize("environment_id", ENVIRONMENTS)
def test_a_step_equals_gymnasiums_on_thousands_of_random_states(environment_id: str) -> None:
    env = spec.find(environment_id).make()
    generator = np.random.default_rng(0)
    states = generator.uniform([-2.5, -3, -0.22, -3], [2.5, 3, 0.22, 3], (3000, 4))
    actions = generator.integers(2, size=3000)
    expected = [gymnasium_step(env, s, int(a)) for s, a in zip(states, actions, strict=True)]

    after = cartpole.step(tf.constant(states), tf.constant(actions))

    np.testing.assert_allclose(after, [state for state, _ in expected], rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(cartpole.has_fallen(after), [fell for _, fell in expected])


@pytest.mark.parametrize("environment_id", ENVIRONMENTS)
def test_time_limit_and_spaces_are_those_that_gymnasium_registers(environment_id: str) -> None:
    env = spec.find(environment_id).make()
    version = cartpole.VERSIONS[environment_id]
    assert version.max_episode_steps == env.spec.max_episode_steps
    assert (version.observation_size,) == env.observation_space.shape
    assert version.num_actions == env.action_space.n


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4), st.sampled_from([0, 1]))
def test_a_mirrored_state_and_action_give_the_mirrored_successor(
    state: list[float], action: int
) -> None:
    after = cartpole.step(tf.constant([state], tf.float64), tf.constant([action]))
    mirrored = cartpole.step(-tf.constant([state], tf.float64), tf.constant([1 - action]))
    np.testing.assert_allclose(after, -mirrored, atol=1e-12)


@pytest.mark.parametrize("environment_id", [*cartpole.VERSIONS, "Acrobot-v1"])
def test_the_command_knows_which_tasks_are_compiled(environment_id: str) -> None:
    environment = spec.find(environment_id)
    assert setup.can_be_compiled(environment) == (environment_id in cartpole.VERSIONS)
