"""What a Gymnasium environment looks like to the trainer, checked before training starts."""

from __future__ import annotations

import difflib
import warnings
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

SMALLEST_IMAGE = 20  # what two convolutions leave at least one pixel of


@dataclass(frozen=True)
class Environment:
    """A registered environment that the trainer can handle."""

    id: str
    observation_shape: tuple[int, ...]  # as the networks see it: (features,) or (H, W, channels)
    num_actions: int
    first_action: int  # what Gymnasium calls our action 0
    one_hot_start: int | None  # the first of `Discrete` observations, None for arrays
    pixels: bool  # whether observations are images of bytes
    reward_threshold: float | None
    max_episode_steps: int | None
    frames_per_second: int

    def make(self, render_mode: str | None = None) -> gym.Env[Any, Any]:
        return _make(self.id, render_mode)

    def encode(self, observations: Any) -> NDArray[Any]:
        """Stacked observations as the networks take them: one-hot, uint8 pixels, or float32."""
        array = np.asarray(observations)
        if self.one_hot_start is not None:
            return np.eye(self.observation_shape[0], dtype=np.float32)[array - self.one_hot_start]
        return array.astype(np.uint8 if self.pixels else np.float32)


def find(environment_id: str) -> Environment:
    """The environment of that id.

    Raises:
        ValueError: it is unknown, lacks a dependency, or has spaces that no algorithm here takes.
    """
    try:
        env = _make(environment_id, None)
    except gym.error.DependencyNotInstalled as error:
        raise ValueError(
            f"`environment` {environment_id} needs a package that is not installed: {error}"
        ) from error
    except (gym.error.Error, ImportError, TypeError, ValueError) as error:  # ".:x" is a TypeError
        near = difflib.get_close_matches(environment_id, list(gym.registry), 3, 0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        given = environment_id if environment_id.isprintable() else ascii(environment_id)
        raise ValueError(
            "`environment` must be the id of a Gymnasium environment, "
            f"but got environment={given}.{hint}"
        ) from error
    try:
        return _describe(environment_id, env)
    finally:
        env.close()


def _make(environment_id: str, render_mode: str | None) -> gym.Env[Any, Any]:
    with warnings.catch_warnings():  # that CartPole-v0 is old is no news to who asks for it
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        # The passive checker costs half of each step, and finds faults of environments, not ours.
        wishes: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
        return gym.make(environment_id, disable_env_checker=True, **wishes)


def _describe(environment_id: str, env: gym.Env[Any, Any]) -> Environment:
    observations, actions = env.observation_space, env.action_space
    if not isinstance(actions, spaces.Discrete):
        raise ValueError(
            f"`environment` {environment_id} must have Discrete actions, but has {actions}."
        )
    if isinstance(observations, spaces.Discrete):
        shape: tuple[int, ...] = (int(observations.n),)
    elif isinstance(observations, spaces.Box) and len(observations.shape) in (1, 3):
        shape = observations.shape
    else:
        raise ValueError(
            f"`environment` {environment_id} must have observations that are Discrete or a Box of"
            f" rank 1 or 3, but has {observations}."
        )
    if len(shape) == 3 and min(shape[:2]) < SMALLEST_IMAGE:
        size = " x ".join(map(str, shape))
        raise ValueError(
            f"`environment` {environment_id} must have images of at least {SMALLEST_IMAGE} x"
            f" {SMALLEST_IMAGE}, but has {size}."
        )
    return Environment(
        id=environment_id,
        observation_shape=shape,
        num_actions=int(actions.n),
        first_action=int(actions.start),
        one_hot_start=int(observations.start)
        if isinstance(observations, spaces.Discrete)
        else None,
        pixels=len(shape) == 3 and observations.dtype == np.uint8,
        reward_threshold=env.spec.reward_threshold if env.spec else None,
        max_episode_steps=env.spec.max_episode_steps if env.spec else None,
        frames_per_second=int(env.metadata.get("render_fps") or 30),
    )
