"""Environments: what the trainer makes of them, and which it refuses by name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from trainer.environments.errors import BadEnvironment
from trainer.environments.spec import Environment, find


class Bare(gym.Env[Any, Any]):
    """Nothing but spaces."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self, observations: Any, actions: Any = None, render_mode: str | None = None
    ) -> None:
        self.observation_space = observations
        self.action_space = spaces.Discrete(2) if actions is None else actions
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 1.0, True, False, {}


class Filmed(Bare):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 12}  # noqa: RUF012


@pytest.fixture
def registered() -> Iterator[Any]:
    """Registers an environment for one test; its argument is what `Bare` takes."""
    name = "OwnTest-v0"

    def register(observations: Any, actions: Any = None, *, kind: type = Bare, **spec: Any) -> str:
        own = {"observations": observations, "actions": actions}
        gym.register(name, kind, kwargs=own, **spec)
        return name

    yield register
    gym.registry.pop(name, None)


def box(*shape: int, dtype: type = np.float32) -> spaces.Box:
    high = 255 if dtype is np.uint8 else 1
    return spaces.Box(0, high, shape, dtype)  # type: ignore[arg-type]


def test_cartpole_is_described_as_gymnasium_registers_it() -> None:
    found = find("CartPole-v1")
    assert found == Environment(
        id="CartPole-v1",
        observation_shape=(4,),
        num_actions=2,
        first_action=0,
        pixels=False,
        reward_threshold=475.0,
        max_episode_steps=500,
        frames_per_second=50,
        has_state=False,
        customised=False,
        recipe=found.recipe,
        encoder=found.encoder,
    )


def test_the_old_cartpole_is_found_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        old = find("CartPole-v0")
    assert (old.max_episode_steps, old.reward_threshold) == (200, 195.0)


def test_an_unknown_id_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadEnvironment) as refusal:
        find("CartPool-v1")
    assert "registered with Gymnasium. Did you mean CartPole-v1" in str(refusal.value)


def test_an_id_like_no_other_is_refused_without_a_guess() -> None:
    with pytest.raises(BadEnvironment) as refusal:
        find("Qwzx-v9")
    assert str(refusal.value).endswith("Give a registered id, or module:name.")


@pytest.mark.parametrize("name", ["", "no such id", "no_such_module:Own-v0", "CartPole-v99", "a/b"])
def test_whatever_is_no_id_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(BadEnvironment, match="`environment`") as refusal:
        find(name)
    assert "\n" not in str(refusal.value)


def test_continuous_actions_are_refused() -> None:
    with pytest.raises(BadEnvironment, match="Pendulum-v1 must have Discrete actions, but has Box"):
        find("Pendulum-v1")


def test_a_space_without_a_fixed_size_is_refused_by_the_part_that_has_none(registered: Any) -> None:
    words = spaces.Sequence(spaces.Discrete(3))
    with pytest.raises(BadEnvironment, match=r"must have observations of a fixed size") as refusal:
        find(registered(spaces.Dict({"place": box(2), "said": spaces.Tuple([words])})))
    assert "['said'][0] Sequence(Discrete(3)" in str(refusal.value)


def test_a_space_of_a_packages_own_is_refused_by_name(registered: Any) -> None:
    class Mission(spaces.Space[str]):
        def __repr__(self) -> str:
            return "Mission()"

    with pytest.raises(BadEnvironment, match=r"\['said'\] Mission\(\) has no fixed size"):
        find(registered(spaces.Dict({"place": box(2), "said": Mission()})))


def test_discrete_observations_are_one_hot_from_where_they_start(registered: Any) -> None:
    environment = find(registered(spaces.Discrete(3, start=5)))
    encoded = environment.encode([5, 7, 6])
    assert environment.observation_shape == (3,)
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_actions_may_start_elsewhere(registered: Any) -> None:
    environment = find(registered(box(4), spaces.Discrete(3, start=-1)))
    assert (environment.num_actions, environment.first_action) == (3, -1)


def test_images_of_bytes_stay_bytes(registered: Any) -> None:
    environment = find(registered(box(24, 20, 3, dtype=np.uint8)))
    assert environment.observation_shape == (24, 20, 3)
    assert environment.pixels
    assert environment.encode([np.full((24, 20, 3), 255, np.uint8)]).dtype == np.uint8


def test_images_of_floats_are_no_bytes(registered: Any) -> None:
    environment = find(registered(box(24, 20, 3)))
    assert not environment.pixels
    assert environment.encode([np.zeros((24, 20, 3), np.float32)]).dtype == np.float32


def test_features_reach_the_networks_as_float32(registered: Any) -> None:
    environment = find(registered(box(4, dtype=np.float64)))
    encoded = environment.encode([np.arange(4.0), np.ones(4)])
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[0, 1, 2, 3], [1, 1, 1, 1]]


def test_episodes_without_a_time_limit_are_bounded_with_a_sentence(
    registered: Any, caplog: pytest.LogCaptureFixture
) -> None:
    environment = find(registered(box(4)))
    assert environment.reward_threshold is None
    assert environment.max_episode_steps == 1000
    assert "OwnTest-v0 has no time limit: its episodes are cut after 1,000 steps." in caplog.text
    assert environment.frames_per_second == 30


def test_threshold_limit_and_frame_rate_are_the_environments_own(registered: Any) -> None:
    name = registered(box(4), kind=Filmed, reward_threshold=7.5, max_episode_steps=9)
    environment = find(name)
    assert environment.reward_threshold == 7.5
    assert environment.max_episode_steps == 9
    assert environment.frames_per_second == 12


def test_an_environment_is_made_for_the_screen_it_is_asked_for(registered: Any) -> None:
    environment = find(registered(box(4), kind=Filmed))
    env = environment.make(render_mode="rgb_array")
    assert env.render_mode == "rgb_array"
    env.close()


@pytest.mark.parametrize("name", sorted(gym.registry))
@pytest.mark.filterwarnings("ignore")
def test_every_registered_environment_is_described_or_refused_by_name(name: str) -> None:
    try:
        assert find(name).id == name
    except BadEnvironment as refusal:
        assert name in str(refusal)
