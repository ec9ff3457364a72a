"""One contract, run on both collectors, and the two against each other."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces

from tests.support.collectors import (
    AGENTS,
    ALL,
    BALANCER,
    ENVS,
    Make,
    arrays,
    compiled,
    gymnasium,
    random_policy,
    steady_policy,
)
from trainer.agents.networks import initialise
from trainer.agents.random_streams import Purpose, Streams
from trainer.environments import cartpole, spec
from trainer.rollouts.collector import choose
from trainer.rollouts.gymnasium_collector import GymnasiumCollector


def test_shapes_and_types_are_those_of_a_rollout(make: Make) -> None:
    rollout = make(steps=7).collect(random_policy(), ALL)
    rows = (7, AGENTS, ENVS)
    for name, value in arrays(rollout).items():
        assert value.shape == ((*rows, 4) if "observations" in name else rows)
        assert value.dtype == (np.int32 if name == "actions" else np.float32)


@pytest.mark.parametrize("steps", [100, None])
def test_every_live_row_is_a_real_transition(make: Make, steps: int | None) -> None:
    rollout = arrays(make(steps).collect(random_policy(), ALL))
    live = rollout["mask"] == 1
    after = cartpole.step(
        tf.constant(rollout["observations"][live], tf.float64), rollout["actions"][live]
    )
    np.testing.assert_allclose(rollout["next_observations"][live], after, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(rollout["terminated"][live], cartpole.has_fallen(after))
    assert np.all(rollout["rewards"][live] == 1)


def test_an_episode_goes_on_where_it_stood_and_starts_anew_after_its_end(make: Make) -> None:
    collector = make(steps=60)
    first, second = (arrays(collector.collect(random_policy(), ALL)) for _ in range(2))
    joined = {name: np.concatenate([first[name], second[name]]) for name in first}
    over = (joined["terminated"] + joined["truncated"])[:-1] == 1
    goes_on = joined["observations"][1:]
    np.testing.assert_array_equal(goes_on[~over], joined["next_observations"][:-1][~over])
    assert over.any()
    assert np.all(np.abs(goes_on[over]) <= cartpole.RESET_RANGE)


@pytest.mark.parametrize(("version", "limit"), [("CartPole-v0", 200), ("CartPole-v1", 500)])
def test_a_time_limit_truncates_and_does_not_terminate(
    make: Make, version: str, limit: int
) -> None:
    rollout = arrays(make(None, version).collect(steady_policy(), ALL))
    assert not rollout["terminated"].any()
    assert np.all(rollout["truncated"].sum(axis=0) == 1)
    assert np.all(rollout["truncated"][limit - 1] == 1)
    assert np.all(rollout["mask"].sum(axis=0) == limit)


def test_whole_episodes_are_whole_and_padding_is_masked(make: Make) -> None:
    collector = make(None)
    for _ in range(2):
        rollout = arrays(collector.collect(random_policy(), ALL))
        lengths = rollout["mask"].sum(axis=0).astype(int)
        ends = rollout["terminated"] + rollout["truncated"]
        for agent, env in np.ndindex(AGENTS, ENVS):
            length = lengths[agent, env]
            assert rollout["mask"][:length, agent, env].all()
            assert ends[length - 1, agent, env] == 1
            assert ends[:, agent, env].sum() == 1
            assert np.all(np.abs(rollout["observations"][0]) <= cartpole.RESET_RANGE)


def test_an_agent_that_sits_out_has_no_live_rows_and_loses_no_numbers(make: Make) -> None:
    both, waits = make(None), make(None)
    expected = [arrays(both.collect(random_policy(), ALL)) for _ in range(2)]
    alone = arrays(waits.collect(random_policy(), np.array([True, False])))
    assert not alone["mask"][:, 1].any()
    late = arrays(waits.collect(random_policy(), ALL))
    for name in ("observations", "actions", "mask"):
        short = min(len(late[name]), len(expected[0][name]))
        live = expected[0]["mask"][:short, 1] == 1
        np.testing.assert_array_equal(
            late[name][:short, 1][live], expected[0][name][:short, 1][live]
        )


def test_the_same_seed_gives_the_same_rollouts_and_another_does_not(make: Make) -> None:
    first, second, other = (
        arrays(make(50, seed=seed).collect(random_policy(), ALL)) for seed in (0, 0, 1)
    )
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])
    assert not np.array_equal(first["observations"], other["observations"])


def test_playing_leaves_training_untouched(make: Make) -> None:
    plays, does_not = make(20), make(20)
    plays.play(random_policy(), 4, Purpose.VALIDATION, 0, greedy=True)
    a, b = (arrays(c.collect(random_policy(), ALL)) for c in (plays, does_not))
    np.testing.assert_array_equal(a["observations"], b["observations"])


def test_play_returns_whole_episodes_of_the_policy_it_is_given(make: Make) -> None:
    collector = make(5)
    steady = collector.play(steady_policy(), 20, Purpose.FINAL, 0, greedy=True)
    assert steady.shape == (AGENTS, 20)
    assert np.all(steady == 500)
    shaky = collector.play(random_policy(), 20, Purpose.FINAL, 0, greedy=False)
    assert 10 < shaky.mean() < 40  # what a random policy gets


def test_play_meets_other_episodes_at_another_counter_or_purpose(make: Make) -> None:
    collector, policy = make(5), random_policy()
    returns = [
        collector.play(policy, 30, purpose, counter, greedy=True)
        for purpose, counter in [
            (Purpose.VALIDATION, 0),
            (Purpose.VALIDATION, 1),
            (Purpose.FINAL, 0),
            (Purpose.VALIDATION, 0),
        ]
    ]
    assert np.array_equal(returns[0], returns[3])
    assert not np.array_equal(returns[0], returns[1])
    assert not np.array_equal(returns[0], returns[2])


def test_both_collectors_roll_out_the_same_from_one_state_and_the_same_actions() -> None:
    steps = 200
    ours, theirs = compiled(steps), gymnasium(steps)
    starts = np.random.default_rng(3).uniform(-0.05, 0.05, (AGENTS, ENVS, 4))
    for index, env in enumerate(theirs._envs._envs):
        env.reset(seed=0)
        env.unwrapped.state = tuple(starts.reshape(-1, 4)[index])
    theirs._observed[:] = starts
    ours.state = ours.state._replace(physics=tf.constant(starts))
    policy = steady_policy()  # acts on signs, so that the last digit of a logit decides nothing

    a, b = (arrays(c.collect(policy, ALL)) for c in (ours, theirs))

    for name, value in a.items():
        np.testing.assert_allclose(value, b[name], rtol=1e-6, atol=1e-7, err_msg=name)


def test_actions_are_drawn_with_the_probabilities_of_the_softmax() -> None:
    logits = np.log(np.tile(np.array([0.1, 0.6, 0.3], np.float32), (100_000, 1)))
    uniforms = np.random.default_rng(0).random(100_000, np.float32)
    drawn = choose(logits, uniforms)
    np.testing.assert_allclose(np.bincount(drawn) / 100_000, [0.1, 0.6, 0.3], atol=0.005)
    np.testing.assert_array_equal(drawn, choose(tf.constant(logits), tf.constant(uniforms)))


class Corridor(gym.Env):
    """Discrete observations and actions that start at 5: walk right, reward at the end."""

    observation_space = spaces.Discrete(4, start=5)
    action_space = spaces.Discrete(2, start=5)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = 5
        return self.place, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        assert action in (5, 6)
        self.place = min(self.place + action - 5, 8)
        over = self.place == 8
        return self.place, float(over), over, False, {}


def test_discrete_spaces_are_one_hot_and_may_start_anywhere() -> None:
    gym.register("Corridor-v0", Corridor, max_episode_steps=30)
    try:
        environment = spec.find("Corridor-v0")
        streams = Streams([(0, 0)])
        collector = GymnasiumCollector(environment, BALANCER, 2, None, streams)
        weights = initialise(BALANCER, [np.random.default_rng(0)])
        rollout = arrays(collector.collect(weights, np.ones(1, bool)))
        live = rollout["mask"] == 1
        assert np.all(rollout["observations"][live].sum(axis=-1) == 1)
        np.testing.assert_array_equal(rollout["observations"][0, 0, 0], [1, 0, 0, 0])
        assert set(np.unique(rollout["actions"])) <= {0, 1}
    finally:
        gym.registry.pop("Corridor-v0")
