"""What an environment looks like to the trainer, checked before training starts."""

from __future__ import annotations

import dataclasses
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from gymnasium.wrappers import FrameStackObservation
from numpy.typing import NDArray

from trainer.contract.settings import RunOptions
from trainer.environments.checks import check
from trainer.environments.construction import EPISODE_BOUND, Recipe, time_limit
from trainer.environments.errors import BadEnvironment, UnnamedCode
from trainer.environments.observations import Encoder
from trainer.environments.saved_state import can_be_saved

log = logging.getLogger("trainer")

ENVIRONMENT_SETTINGS = ("environment", "env_kwargs", "wrappers", "frame_stack", "max_episode_steps")


@dataclass(frozen=True)
class Environment:
    """An environment that the trainer can handle."""

    id: str
    observation_shape: tuple[int, ...]  # as the networks see it: (features,) or (H, W, channels)
    num_actions: int
    first_action: int  # what Gymnasium calls our action 0
    pixels: bool  # whether observations are images of bytes
    reward_threshold: float | None
    max_episode_steps: int
    frames_per_second: int
    has_state: bool  # whether `get_state` and `set_state` are all it takes to go on
    customised: bool  # whether it differs from what is registered under its id
    recipe: Recipe = field(compare=False)
    encoder: Encoder = field(compare=False)

    def make(self, render_mode: str | None = None) -> gym.Env[Any, Any]:
        return self.recipe.make(render_mode)

    def encode(self, observations: Sequence[Any]) -> NDArray[Any]:
        """Observations as the networks take them: float32 vectors, or images."""
        return self.encoder.encode(observations)


def of_options(options: RunOptions) -> Environment:
    """The environment that a command asks for. Raises BadEnvironment."""
    return find(
        options.environment,
        kwargs=json.loads(options.env_kwargs),
        wrappers=[name.strip() for name in options.wrappers.split(",") if name.strip()],
        max_episode_steps=options.max_episode_steps or None,
        frame_stack=options.frame_stack,
    )


def of_record(
    settings: Mapping[str, Any], environment: str | None, wrappers: str | None
) -> Environment:
    """The environment of an earlier run, from its recorded settings.

    A job dir may be untrusted: a module is imported only if the command names it.

    Args:
        environment: what the command says, if anything.
        wrappers: likewise.

    Raises:
        UnnamedCode: the command must name it.
        BadEnvironment: there is no such environment.
    """
    found = {name: settings[name] for name in ENVIRONMENT_SETTINGS if name in settings}
    for flag, given in (("environment", environment), ("wrappers", wrappers)):
        recorded = str(found.get(flag, ""))
        if given is not None:
            found[flag] = given
        elif recorded and (flag == "wrappers" or ":" in recorded):
            raise UnnamedCode(
                f"The run's `{flag}` is {recorded if recorded.isprintable() else ascii(recorded)}."
                f" Its code is only imported if the command names it. Add --{flag} with that value."
            )
    for field_ in dataclasses.fields(RunOptions):
        value = found.get(field_.name, field_.default)
        if field_.name in found and type(value).__name__ != field_.type:
            raise BadEnvironment(f"The run's `{field_.name}` is not of type {field_.type}.")
    try:
        options = RunOptions(**found)
    except ValueError as error:
        raise BadEnvironment(f"The run's environment is not valid: {error}") from error
    return of_options(options)


def find(
    environment: str | Callable[..., gym.Env[Any, Any]],
    *,
    kwargs: Mapping[str, Any] | None = None,
    wrappers: Sequence[str] = (),
    max_episode_steps: int | None = None,
    frame_stack: int = 1,
) -> Environment:
    """The environment of that id, class or function, after a reset and a step of it.

    Raises:
        BadEnvironment: it is unknown, cannot be made, breaks Gymnasium's API, or has spaces that
            no algorithm here takes.
    """
    recipe = Recipe(environment, kwargs or {}, tuple(wrappers), max_episode_steps, frame_stack)
    env = recipe.make_unbounded()
    try:
        if time_limit(env) is None:
            log.warning(
                "%s has no time limit: its episodes are cut after %s steps. --max_episode_steps"
                " sets another limit.",
                recipe.name, f"{EPISODE_BOUND:,}",
            )  # fmt: skip
        env = recipe.wrap(env)
        return _describe(recipe, env)
    finally:
        env.close()


def _describe(recipe: Recipe, env: gym.Env[Any, Any]) -> Environment:
    name, actions = recipe.name, env.action_space
    if not isinstance(actions, spaces.Discrete):
        raise BadEnvironment(f"`environment` {name} must have Discrete actions, but has {actions}.")
    try:
        frame = env.observation_space
        if recipe.frame_stack > 1 and isinstance(env, FrameStackObservation):
            frame = env.env.observation_space
        encoder = Encoder(frame, recipe.frame_stack)
    except ValueError as error:
        raise BadEnvironment(
            f"`environment` {name} must have observations of a fixed size, but {error}. A wrapper"
            " can leave it out: --wrappers module:function."
        ) from error
    if encoder.warning:
        log.warning("%s %s", name, encoder.warning)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium's own, of what is checked here
        masked = check(name, env, int(actions.start))
    if masked:
        log.warning(
            "%s says by info['action_mask'] which actions are allowed, but no algorithm here heeds"
            " that: it must cope with all of them.",
            name,
        )
    own = env.spec
    return Environment(
        id=name,
        observation_shape=encoder.shape,
        num_actions=int(actions.n),
        first_action=int(actions.start),
        pixels=encoder.pixels,
        reward_threshold=own.reward_threshold if own else None,
        max_episode_steps=time_limit(env) or EPISODE_BOUND,
        frames_per_second=int(env.metadata.get("render_fps") or 30),
        has_state=can_be_saved(env),
        customised=recipe != Recipe(recipe.environment),
        recipe=recipe,
        encoder=encoder,
    )
