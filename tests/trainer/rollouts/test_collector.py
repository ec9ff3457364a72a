"""One contract, run on both collectors, and the two against each other."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
from gymnasium import spaces

from trainer.agents.networks import Architecture, initialise
from trainer.agents.random_streams import Purpose, Streams
from trainer.agents.rollout import Rollout
from trainer.environments import cartpole, spec
from trainer.rollouts.collector import Collector, choose
from trainer.rollouts.compiled_collector import CompiledCollector
from trainer.rollouts.gymnasium_collector import GymnasiumCollector
from trainer.storage.checkpoint import CheckpointError

AGENTS, ENVS = 2, 3
ALL = np.ones(AGENTS, bool)
BALANCER = Architecture((4,), 2, 4, critic=False)
Make = Callable[..., Collector]


def compiled(steps: int | None, version: str = "CartPole-v1", seed: int = 0) -> Collector:
    streams = Streams([(seed, agent) for agent in range(AGENTS)])
    return CompiledCollector(cartpole.VERSIONS[version], BALANCER, ENVS, steps, streams)


def gymnasium(steps: int | None, version: str = "CartPole-v1", seed: int = 0) -> Collector:
    streams = Streams([(seed, agent) for agent in range(AGENTS)])
    return GymnasiumCollector(spec.find(version), BALANCER, ENVS, steps, streams)


def random_policy(seed: int = 0) -> np.ndarray:
    generators = [np.random.default_rng((seed, agent)) for agent in range(AGENTS)]
    return initialise(BALANCER, generators)


def steady_policy() -> np.ndarray:
    """Balances the pole for ever: pushes to where the cart drifts and the pole leans."""
    small = 1e-3  # keeps tanh straight
    lean = np.array([[0.0, gain] for gain in (1.0, 2.0, 20.0, 4.0)], np.float32)
    layers = [(small * np.eye(4), 4), (np.eye(4), 4), (1e6 * lean, 2)]
    row = np.concatenate([part for k, n in layers for part in (k.reshape(-1), np.zeros(n))])
    return np.tile(row.astype(np.float32), (AGENTS, 1))


@pytest.fixture(params=[compiled, gymnasium], ids=["compiled", "gymnasium"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    yield request.param


def arrays(rollout: Rollout) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in rollout._asdict().items()}


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


# Taken up from a snapshot

SOME = np.array([True, False])
Course = list[tuple[np.ndarray, np.ndarray]]  # policies, and who takes part, rollout by rollout


def assert_they_go_on_alike(ours: Collector, theirs: Collector, course: Course) -> None:
    for policy, active in course:
        a, b = (arrays(collector.collect(policy, active)) for collector in (ours, theirs))
        for name, value in a.items():
            assert value.tobytes() == b[name].tobytes(), name


def courses() -> dict[str, Course]:
    return {
        "random": [(random_policy(), ALL)] * 6,
        "steady": [(steady_policy(), ALL)] * 6,
        "by turns": [
            (random_policy(), active)
            for active in (ALL, SOME, SOME, ~SOME, ALL, ~SOME, ~SOME, SOME, ALL)
        ],
        "falls late": [(steady_policy(), ALL)] * 3 + [(random_policy(), SOME)] * 4,
    }


@pytest.mark.parametrize("steps", [7, 40, None])
def test_a_collector_that_takes_up_a_snapshot_goes_on_as_the_first_would_have(
    make: Make, steps: int | None
) -> None:
    goes_on, takes_up = make(steps), make(steps)
    for course in courses().values():
        for policy, active in course:
            takes_up.restore(goes_on.snapshot())
            assert_they_go_on_alike(goes_on, takes_up, [(policy, active)])
        takes_up.restore(goes_on.snapshot())
        assert_they_go_on_alike(goes_on, takes_up, course)


def test_a_snapshot_may_be_taken_at_the_very_end_of_an_episode(make: Make) -> None:
    goes_on, takes_up = make(1), make(1)
    ended = 0
    for _ in range(60):
        rollout = arrays(goes_on.collect(random_policy(), ALL))
        takes_up.restore(goes_on.snapshot())
        ended += int(rollout["terminated"].sum())
        assert_they_go_on_alike(goes_on, takes_up, [(random_policy(), ALL)])
    assert ended > 6


def test_a_snapshot_is_one_of_that_moment(make: Make) -> None:
    """What comes later, and whoever takes it up, leaves it as it was."""
    first, second = make(7), make(7)
    first.collect(random_policy(), ALL)
    snapshot = first.snapshot()
    kept = {name: array.copy() for name, array in snapshot.items()}
    second.restore(snapshot)
    for collector in (first, second):
        for _ in range(5):
            collector.collect(random_policy(), ALL)
    assert all(np.array_equal(snapshot[name], array) for name, array in kept.items())


def test_a_snapshot_that_is_taken_up_is_taken_again_the_same(make: Make) -> None:
    first, second = make(7), make(7)
    for active in (ALL, SOME, ALL):
        first.collect(steady_policy(), active)
    second.restore(first.snapshot())
    for name, array in first.snapshot().items():
        assert array.dtype == second.snapshot()[name].dtype
        assert array.tobytes() == second.snapshot()[name].tobytes(), name


def test_playing_is_the_same_after_a_snapshot_is_taken_up(make: Make) -> None:
    first, second = make(20), make(20)
    first.collect(random_policy(), ALL)
    second.restore(first.snapshot())
    a, b = (
        collector.play(random_policy(), 20, Purpose.FINAL, 0, greedy=True)
        for collector in (first, second)
    )
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("steps", [7, None])
def test_a_snapshot_of_another_shape_or_type_is_refused(make: Make, steps: int | None) -> None:
    collector = make(steps)
    snapshot = collector.snapshot()
    for name, array in snapshot.items():
        for wrong in (array[None], array.astype(np.complex64)):
            with pytest.raises(CheckpointError, match=f"its {name} must be"):
                collector.restore({**snapshot, name: wrong})
        with pytest.raises(CheckpointError, match=f"no {name}"):
            collector.restore({key: value for key, value in snapshot.items() if key != name})


def test_a_snapshot_of_the_other_collector_is_refused(make: Make) -> None:
    other = compiled(7) if make is gymnasium else gymnasium(7)
    with pytest.raises(CheckpointError):
        make(7).restore(other.snapshot())


@pytest.mark.parametrize(
    "name, change",
    [
        ("ages", lambda ages: ages + 1),
        ("ages", lambda ages: -ages),
        ("actions", lambda actions: actions[1:]),
        ("actions", lambda actions: actions - 1),
        ("actions", lambda actions: actions + 2),
        ("episodes", lambda episodes: episodes * 0),
    ],
)
def test_a_snapshot_that_cannot_be_is_refused(name: str, change: Any) -> None:
    collector = gymnasium(7)
    collector.collect(steady_policy(), ALL)
    snapshot = collector.snapshot()
    with pytest.raises(CheckpointError):
        collector.restore({**snapshot, name: change(snapshot[name])})


@pytest.mark.parametrize("environment_id", ["Acrobot-v1", "MountainCar-v0", "Taxi-v4"])
def test_any_environment_that_repeats_itself_is_led_back_to_where_it_stood(
    environment_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    environment = spec.find(environment_id)
    architecture = Architecture(
        environment.observation_shape, environment.num_actions, 4, critic=False
    )
    streams = Streams([(0, 0), (0, 1)])
    goes_on, takes_up = (
        GymnasiumCollector(environment, architecture, 2, 90, streams) for _ in range(2)
    )
    weights = initialise(architecture, [np.random.default_rng(agent) for agent in range(2)])
    caplog.clear()  # Taxi says which actions are allowed
    for active in (ALL, SOME, ALL, ~SOME):  # episodes of 200 or 500 steps
        goes_on.collect(weights, active)
        takes_up.restore(goes_on.snapshot())
        assert_they_go_on_alike(goes_on, takes_up, [(weights, ALL), (weights, SOME)])
    assert not caplog.records


class Whim(gym.Env):
    """Drifts as it likes, and no seed tells it how."""

    observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)
    action_space = spaces.Discrete(2)
    hidden = np.random.default_rng(0)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.hidden.normal(size=4).astype(np.float32), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        over = bool(self.hidden.random() < 0.1)
        return self.hidden.normal(size=4).astype(np.float32), 1.0, over, False, {}


@pytest.fixture
def whim() -> Iterator[spec.Environment]:
    gym.register("Whim-v0", Whim, max_episode_steps=30)
    yield spec.find("Whim-v0")
    gym.registry.pop("Whim-v0")


@pytest.mark.parametrize("rollouts", [0, 1, 4])
def test_an_environment_that_does_not_repeat_itself_goes_on_with_a_warning(
    rollouts: int, whim: spec.Environment, caplog: pytest.LogCaptureFixture
) -> None:
    streams = Streams([(0, 0), (0, 1)])
    first, second = (GymnasiumCollector(whim, BALANCER, ENVS, 3, streams) for _ in range(2))
    for _ in range(rollouts):
        first.collect(random_policy(), ALL)
    second.restore(first.snapshot())
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert "Whim-v0 does not repeat itself" in caplog.text
    caplog.clear()
    joined = [arrays(second.collect(random_policy(), ALL)) for _ in range(12)]
    over = np.concatenate([x["terminated"] + x["truncated"] for x in joined])[:-1] == 1
    before = np.concatenate([x["next_observations"] for x in joined])[:-1]
    after = np.concatenate([x["observations"] for x in joined])[1:]
    np.testing.assert_array_equal(after[~over], before[~over])
    ends = np.concatenate([x["truncated"] for x in joined])
    assert set(np.unique(second.snapshot()["ages"])) <= set(range(30))
    assert ends.sum() <= len(ends) * AGENTS * ENVS / 30 + AGENTS * ENVS


def test_what_the_policy_sees_first_after_that_is_where_the_environment_is(
    whim: spec.Environment,
) -> None:
    streams = Streams([(0, 0), (0, 1)])
    first, second = (GymnasiumCollector(whim, BALANCER, ENVS, 3, streams) for _ in range(2))
    snapshot = first.snapshot()  # no episode has a step yet
    second.restore(snapshot)
    seen = arrays(second.collect(random_policy(), ALL))["observations"][0]
    assert not np.isin(seen, snapshot["observed"]).any()


@pytest.mark.parametrize("steps", [3, 64])
def test_no_more_actions_are_kept_than_the_oldest_episode_has_steps(steps: int) -> None:
    collector = gymnasium(steps)
    policies = [steady_policy()] * 20 + [random_policy()] * 20
    turns = itertools.cycle([ALL, SOME, ~SOME, ALL])
    for policy, active in zip(policies, turns, strict=False):
        collector.collect(policy, active)
        for blocks, ages in zip(collector._history.blocks, collector._history.ages, strict=True):
            assert sum(map(len, blocks)) < ages.max() + 2 * steps
            assert sum(map(len, blocks)) >= ages.max()
    assert len(collector.snapshot()["actions"]) == collector._history.ages.sum()


def test_whole_episodes_need_no_actions_to_go_on() -> None:
    collector = gymnasium(None)
    for _ in range(3):
        collector.collect(steady_policy(), ALL)
    assert len(collector.snapshot()["actions"]) == 0
