from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer.agents import returns

LENGTH = 12


def column(*numbers: float) -> tf.Tensor:
    """[T, 1, 1] float32: one environment of one agent."""
    return tf.reshape(tf.constant(numbers, tf.float32), [-1, 1, 1])


def flat(x: tf.Tensor) -> np.ndarray:
    return np.reshape(x, -1)


def test_discounting_gives_the_numbers_that_the_notebook_prints() -> None:
    rewards = column(-0.9, 1.2, 0.5, -0.6, 1, 0.6, 0.2, 0, 0.4, 0.5)
    ends = column(*[0] * 9, 1)
    to_go = returns.rewards_to_go(rewards, ends, 0 * ends, tf.constant([[0.5]]))
    expected = [-0.16308594, 1.47382812, 0.54765625, 0.0953125, 1.390625]
    expected += [0.78125, 0.3625, 0.325, 0.65, 0.5]
    np.testing.assert_allclose(flat(to_go), expected, rtol=1e-6)


def test_gae_by_hand_over_a_termination_and_a_truncation() -> None:
    # gamma = lambda = 1/2, every reward 1, so the decay is 1/4 where an episode goes on.
    # t  V  V' end    delta = 1 + V'/2 - V      advantage
    # 0  2  4         1 + 2 - 2 =  1            1 + 1/4 * -3 = 0.25
    # 1  4  6  term   1 + 0 - 4 = -3            -3      (a fall: V' is worth nothing)
    # 2  2  6  trunc  1 + 3 - 2 =  2            2       (a time limit: V' counts, the sum ends)
    # 3  4  2         1 + 1 - 4 = -2            -2 + 1/4 * 1 = -1.75
    # 4  2  2         1 + 1 - 2 =  0            0 + 1/4 * 4 = 1
    # 5  0  6         1 + 3 - 0 =  4            4       (the rollout ends here)
    advantages = returns.generalised_advantages(
        rewards=column(1, 1, 1, 1, 1, 1),
        values=column(2, 4, 2, 4, 2, 0),
        next_values=column(4, 6, 6, 2, 2, 6),
        terminated=column(0, 1, 0, 0, 0, 0),
        truncated=column(0, 0, 1, 0, 0, 0),
        gamma=tf.constant([[0.5]]),
        gae_lambda=tf.constant([[0.5]]),
    )
    np.testing.assert_allclose(flat(advantages), [0.25, -3, 2, -1.75, 1, 4])


def test_lambda_0_is_the_one_step_advantage() -> None:
    advantages = returns.generalised_advantages(
        column(1, 2), column(3, 4), column(4, 5), column(0, 0), column(0, 0), 0.9, 0.0
    )
    np.testing.assert_allclose(flat(advantages), [1 + 0.9 * 4 - 3, 2 + 0.9 * 5 - 4], rtol=1e-6)


numbers = st.lists(st.floats(-10, 10, width=32), min_size=LENGTH, max_size=LENGTH)


@given(numbers, numbers, st.integers(0, LENGTH - 1), st.floats(0, 1))
def test_lambda_1_equals_returns_to_go_minus_values(
    rewards: list[float], values: list[float], end: int, gamma: float
) -> None:
    terminated = np.zeros(LENGTH)
    terminated[[end, -1]] = 1
    common = {"gamma": tf.constant([[gamma]], tf.float32)}
    ends, r, v = column(*terminated), column(*rewards), column(*values)
    advantages = returns.generalised_advantages(
        r, v, tf.roll(v, -1, axis=0), ends, 0 * ends, gae_lambda=1.0, **common
    )
    to_go = returns.discounted_sum(r, common["gamma"] * (1 - ends))
    np.testing.assert_allclose(advantages, to_go - v, atol=1e-3)


@given(numbers, st.floats(0, 1))
def test_discounted_sum_equals_the_sum_written_out(terms: list[float], decay: float) -> None:
    sums = returns.discounted_sum(
        column(*terms), tf.fill((LENGTH, 1, 1), tf.cast(decay, "float32"))
    )
    expected = [
        sum(decay ** (later - now) * terms[later] for later in range(now, LENGTH))
        for now in range(LENGTH)
    ]
    np.testing.assert_allclose(flat(sums), expected, rtol=1e-3, atol=1e-3)


def test_an_episode_cut_by_the_clock_goes_on_at_its_mean_reward() -> None:
    to_go = returns.rewards_to_go(column(1, 1, 1), column(0, 0, 0), column(0, 0, 1), 0.9)
    np.testing.assert_allclose(flat(to_go), [10, 10, 10], rtol=1e-6)


def test_a_fall_is_worth_less_than_a_time_limit() -> None:
    fallen = returns.rewards_to_go(column(1, 1, 1), column(0, 0, 1), column(0, 0, 0), 0.9)
    np.testing.assert_allclose(flat(fallen), [2.71, 1.9, 1], rtol=1e-6)


def test_without_discounting_a_cut_episode_counts_as_long_again() -> None:
    to_go = returns.rewards_to_go(column(1, 1, 1), column(0, 0, 0), column(0, 0, 1), 1.0)
    np.testing.assert_allclose(flat(to_go), [6, 5, 4])


@pytest.mark.parametrize("agents", [1, 3])
def test_agents_and_environments_do_not_mix(agents: int) -> None:
    generator = np.random.default_rng(0)
    terms = tf.constant(generator.normal(size=(7, agents, 2)))
    decay = tf.constant(generator.uniform(size=(7, agents, 2)))
    together = returns.discounted_sum(terms, decay)
    for agent in range(agents):
        alone = returns.discounted_sum(terms[:, agent, :1], decay[:, agent, :1])
        np.testing.assert_array_equal(together[:, agent, :1], alone)
