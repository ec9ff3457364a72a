"""Collectors that are restored from a snapshot continue as if they had never stopped."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
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
from trainer.agents.networks import Architecture, initialise
from trainer.agents.random_streams import Purpose, Streams
from trainer.environments import spec
from trainer.rollouts.collector import Collector
from trainer.rollouts.gymnasium_collector import GymnasiumCollector
from trainer.storage.checkpoint import CheckpointError

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
            with pytest.raises(CheckpointError, match=f"its array {name} is "):
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
