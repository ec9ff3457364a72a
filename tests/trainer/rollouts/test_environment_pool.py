"""Environments stepped in this process and in workers: one contract, and what faults come to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.support import zoo
from trainer.agents.networks import Architecture, initialise
from trainer.agents.random_streams import Purpose, Streams
from trainer.environments.errors import EnvironmentFault
from trainer.environments.spec import Environment, find
from trainer.rollouts import worker_pool
from trainer.rollouts.environment_pool import EnvironmentPool, LocalPool
from trainer.rollouts.gymnasium_collector import GymnasiumCollector
from trainer.rollouts.worker_pool import WorkerPool, open_pool

ZOO = "tests.support.zoo"
STREAMS = Streams([(0, 0)])
ALL = np.ones(1, bool)
Open = Callable[..., EnvironmentPool]


@pytest.fixture(params=[1, 2], ids=["local", "workers"])
def pool_of(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens a pool, and closes it after the test."""
    opened: list[EnvironmentPool] = []

    def open_(environment: Environment, count: int) -> EnvironmentPool:
        opened.append(open_pool(environment, count, str(request.param)))
        return opened[-1]

    yield open_
    for pool in opened:
        pool.close()


def kind(name: str) -> Environment:
    return find(f"{ZOO}:{name}", max_episode_steps=30)


def collector(environment: Environment, steps: int | None = 8, **how: Any) -> GymnasiumCollector:
    shape = Architecture(environment.observation_shape, environment.num_actions, 4, critic=False)
    return GymnasiumCollector(environment, shape, 3, steps, STREAMS, **how)


def weights_for(of: GymnasiumCollector) -> Any:
    return initialise(of._architecture, [np.random.default_rng(0)])


def test_each_environment_goes_its_own_way(pool_of: Open) -> None:
    environment = kind("Line")
    pool = pool_of(environment, 3)
    first = pool.reset([0, 1, 2], [1, 2, 3])
    twice = environment.make()
    assert np.array_equal(first[2], environment.encode([twice.reset(seed=3)[0]])[0])
    steps = pool.step([2, 0], np.array([1, 0]))
    expected = environment.encode([twice.step(1)[0]])[0]
    assert np.array_equal(steps.observations[0], expected)
    assert steps.rewards.tolist() == [-0.1, -0.1]
    again = pool.reset([1], [2])
    assert np.array_equal(again[0], first[1])
    assert np.array_equal(pool.step([2], np.array([0])).observations[0], first[2])


def test_an_end_and_a_cut_are_told_apart(pool_of: Open) -> None:
    pool = pool_of(find(f"{ZOO}:Line", max_episode_steps=8), 2)
    pool.reset([0, 1], [5, 5])
    ends = [pool.step([0, 1], np.array([1, 0])) for _ in range(8)]
    terminated = np.stack([steps.terminated for steps in ends])
    truncated = np.stack([steps.truncated for steps in ends])
    assert terminated.any(axis=0).tolist() == [True, False]
    assert truncated[-1].tolist() == [False, True] and not truncated[:-1].any()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("InfiniteReward", "returned the reward inf in step 5 of an episode; rewards must be fin"),
        ("NanReward", "returned the reward nan in step 5 of an episode"),
        ("HugeReward", "returned the reward 1e+300 in step 5 of an episode"),
        ("NanObservation", "returned an observation with nan in step 5 of an episode"),
        ("GrowingObservation", "returned an observation that is not of Box(-1.0, 1.0, (2,), flo"),
        ("Raises", "failed in step(0), after 4 steps of an episode: ConnectionResetError: [Err"),
        ("Exits", "failed in step(0), after 4 steps of an episode: SystemExit: bye."),
    ],
)
def test_the_first_fault_is_told_with_environment_step_and_value(
    name: str, words: str, pool_of: Open
) -> None:
    pool = pool_of(kind(name), 2)
    pool.reset([0, 1], [0, 1])
    for _ in range(4):
        pool.step([0, 1], np.array([0, 0]))
    with pytest.raises(EnvironmentFault, match=re.escape(words)) as fault:
        pool.step([0, 1], np.array([0, 0]))
    assert str(fault.value).startswith(f"{ZOO}:{name} ")
    assert ("in happens" in fault.value.details) == (name in ("Raises", "Exits"))


def test_a_worker_that_dies_is_one_sentence() -> None:
    pool = WorkerPool(kind("Dies"), 2, 2)
    pool.reset([0, 1], [0, 1])
    for _ in range(4):
        pool.step([0, 1], np.array([0, 0]))
    with pytest.raises(EnvironmentFault, match=r"Dies is gone: worker 1 ended with SIGKILL\."):
        pool.step([1], np.array([0]))
    with pytest.raises(EnvironmentFault, match="have ended"):
        pool.step([0], np.array([0]))
    pool.close()


def test_a_worker_that_hangs_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = WorkerPool(kind("Hangs"), 2, 2)
    pool.reset([0, 1], [0, 1])
    for _ in range(4):
        pool.step([0, 1], np.array([0, 0]))
    monkeypatch.setattr(worker_pool, "DEADLINE", 0.2)
    with pytest.raises(EnvironmentFault, match=r"Hangs hangs: worker 0 did not answer within 0"):
        pool.step([0], np.array([0]))
    pool.close()
    assert not any(process.is_alive() for process in pool._vector.processes)


@pytest.mark.parametrize("workers", ["1", "2", "auto"])
def test_workers_change_nothing_in_what_is_gathered(workers: str) -> None:
    environment = kind("Named")
    ours, theirs = collector(environment), collector(environment, workers=workers)
    weights = weights_for(ours)
    for _ in range(3):
        a, b = (c.collect(weights, ALL) for c in (ours, theirs))
        for one, other in zip(a, b, strict=True):
            assert one.numpy().tobytes() == other.numpy().tobytes()
    played = [c.play(weights, 7, Purpose.FINAL, 0, greedy=False) for c in (ours, theirs)]
    assert np.array_equal(*played)
    ours.close()
    theirs.close()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_environment_with_a_state_is_taken_up_by_it(
    workers: str, caplog: pytest.LogCaptureFixture
) -> None:
    environment = kind("Stateful")
    assert environment.has_state
    goes_on, takes_up = (collector(environment, workers=workers) for _ in range(2))
    weights = weights_for(goes_on)
    goes_on.collect(weights, ALL)
    takes_up.restore(goes_on.snapshot())
    # Up to the first end of an episode: from there on its noise, which no seed tells, is another.
    a, b = (c.collect(weights, ALL) for c in (goes_on, takes_up))
    over = (a.terminated + a.truncated).numpy().cumsum(axis=0) > 0
    before = np.concatenate([np.zeros_like(over[:1]), over[:-1]]) == 0
    assert before.any()
    for one, other in zip(a, b, strict=True):
        assert np.array_equal(one.numpy()[before], other.numpy()[before])
    assert not caplog.records
    goes_on.close()
    takes_up.close()


def test_after_a_fault_the_collector_stands_where_its_last_rollout_ended() -> None:
    environment = kind("Line")
    good, bad = collector(environment), collector(environment)
    weights = weights_for(good)
    for each in (good, bad):
        each.collect(weights, ALL)
    expected = good.snapshot()
    pool = bad._envs
    assert isinstance(pool, LocalPool)
    real, calls = pool.step, iter(range(5))

    def step(*arguments: Any) -> Any:
        if next(calls) == 4:
            raise EnvironmentFault("it broke")
        return real(*arguments)

    pool.step = step  # type: ignore[method-assign]
    with pytest.raises(EnvironmentFault, match="it broke"):
        bad.collect(weights, ALL)
    found = bad.snapshot()
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
    resumed = collector(environment)
    resumed.restore(found)
    for one, other in zip(good.collect(weights, ALL), resumed.collect(weights, ALL), strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes()


def test_evaluation_makes_no_more_environments_than_training_and_all_are_closed() -> None:
    environment = kind("Counted")
    zoo.Counted.made = zoo.Counted.closed = 0
    gathers = collector(environment)
    weights = weights_for(gathers)
    gathers.collect(weights, ALL)
    assert zoo.Counted.made == 3
    gathers.play(weights, 20, Purpose.VALIDATION, 0, greedy=True)
    assert zoo.Counted.made == 6
    gathers.close()
    assert zoo.Counted.closed == 6


def test_whole_episodes_without_an_end_are_bounded() -> None:
    gathers = collector(find(f"{ZOO}:Endless"), None)
    rollout = gathers.collect(weights_for(gathers), ALL)
    assert rollout.truncated.numpy().sum() == 3
    assert rollout.mask.numpy().sum() == 3 * 1000
