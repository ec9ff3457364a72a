"""How an environment is made: by id, class or function, with arguments, wrappers and a limit."""

from __future__ import annotations

import difflib
import importlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import FrameStackObservation, TimeLimit

from trainer.environments.errors import BadEnvironment, cause, log_traceback

EPISODE_BOUND = 1000  # steps of an episode where nothing else limits it
# Packages that register environments when they are imported, by how their ids begin.
PACKAGES = {
    "ALE/": "ale_py",
    "MiniGrid-": "minigrid",
    "BabyAI-": "minigrid",
    "highway-": "highway_env",
    "merge-": "highway_env",
    "roundabout-": "highway_env",
    "intersection-": "highway_env",
    "FlappyBird-": "flappy_bird_gymnasium",
    "PyFlyt/": "PyFlyt.gym_envs",
    "gym_trading": "gym_trading_env",
    "TradingEnv": "gym_trading_env",
}


@dataclass(frozen=True)
class Recipe:
    """Everything that it takes to make an environment, again and in other processes."""

    environment: str | Callable[..., gym.Env[Any, Any]]  # an id, `module:name`, or what makes one
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrappers: tuple[str, ...] = ()  # `module:function` each, the innermost first
    max_episode_steps: int | None = None  # None: the environment's own limit
    frame_stack: int = 1

    @property
    def name(self) -> str:
        made = self.environment
        return made if isinstance(made, str) else f"{made.__module__}:{made.__qualname__}"

    def make(self, render_mode: str | None = None) -> gym.Env[Any, Any]:
        """Makes one. Raises BadEnvironment with what kept it from being made."""
        env = self.make_unbounded(render_mode)
        try:
            return self.wrap(env)
        except BaseException:
            env.close()
            raise

    def make_unbounded(self, render_mode: str | None = None) -> gym.Env[Any, Any]:
        """The environment with its own time limit, if it has any, and no wrappers."""
        arguments: dict[str, Any] = dict(self.kwargs)
        if render_mode is not None:
            arguments["render_mode"] = render_mode
        if self.max_episode_steps is not None:
            arguments["max_episode_steps"] = self.max_episode_steps
        target = self._target()
        with warnings.catch_warnings():  # the user asked for CartPole-v0, old or not
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", message=".*render_mode")  # rendering is tested later
            try:
                # The passive checker costs half of each step; `checks` does its work once.
                return gym.make(target, disable_env_checker=True, **arguments)
            except gym.error.DependencyNotInstalled as error:
                raise BadEnvironment(
                    f"`environment` {self.name} needs a package that is not installed: {error}"
                ) from error
            except (Exception, SystemExit) as error:
                own: BaseException = error
                if isinstance(error, TypeError) and error.__cause__ is not None:
                    own = error.__cause__  # Gymnasium adds which arguments it passed, at length
                log_traceback(own)
                raise BadEnvironment(
                    f"`environment` {_shown(self.name)} could not be made: {cause(own)}."
                    f"{_hint_of_kwargs(own)}"
                ) from error

    def wrap(self, env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
        """`env` with the recipe's wrappers around it, a time limit first."""
        if time_limit(env) is None:
            env = TimeLimit(env, EPISODE_BOUND)
        for wrapper in self.wrappers:
            made = load(wrapper, "wrappers")
            if not callable(made):
                raise BadEnvironment(f"`wrappers` {wrapper} is not a function or class.")
            try:
                env = made(env)
            except Exception as error:
                log_traceback(error)
                raise BadEnvironment(
                    f"`wrappers` {wrapper} could not wrap {self.name}: {cause(error)}."
                ) from error
            if not isinstance(env, gym.Env):
                raise BadEnvironment(
                    f"`wrappers` {wrapper} must return a Gymnasium environment, but returned a"
                    f" {type(env).__name__}."
                )
        return FrameStackObservation(env, self.frame_stack) if self.frame_stack > 1 else env

    def _target(self) -> str | EnvSpec:
        """What Gymnasium can make: a registered id, or the description of a class or function."""
        made = self.environment
        if not isinstance(made, str):
            return EnvSpec(made.__qualname__.replace("<", "").replace(">", ""), entry_point=made)
        module, colon, name = made.partition(":")
        if not colon:
            return _registered(made)
        import_module(module, "environment")
        if name in gym.registry:
            return name
        entry = load(made, "environment")
        if not callable(entry):
            raise BadEnvironment(f"`environment` {made} is not a class or a function.")
        return EnvSpec(made, entry_point=entry)


def time_limit(env: Any) -> int | None:
    """The steps after which some wrapper of Gymnasium's cuts an episode of `env`."""
    limits = []
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TimeLimit):
            limits.append(int(env._max_episode_steps))
        env = env.env
    return min(limits, default=None)


def load(name: str, flag: str) -> Any:
    """The object that `module:name` names. Raises BadEnvironment, which names the `flag`."""
    module, colon, path = name.partition(":")
    if not (module and colon and path):
        raise BadEnvironment(f"`{flag}` {_shown(name)} is not of the form module:name.")
    found = import_module(module, flag)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            what = "class, function or registered id" if flag == "environment" else "function"
            raise BadEnvironment(
                f"`{flag}` {_shown(name)} does not exist: module {module} has no {what} {path}."
            ) from error
    return found


def import_module(name: str, flag: str) -> Any:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise BadEnvironment(
                f"`{flag}` names the module {_shown(name)}, which is not installed and not in this"
                " folder."
            ) from error
        if not isinstance(error, ImportError):
            log_traceback(error)
        raise BadEnvironment(
            f"`{flag}` names the module {_shown(name)}, which could not be imported:"
            f" {cause(error)}."
        ) from error


def _registered(name: str) -> str:
    """Returns `name`. Raises BadEnvironment unless Gymnasium has such an id."""
    try:
        gym.spec(name)
    except (gym.error.Error, ValueError, TypeError) as error:
        near = difflib.get_close_matches(name, list(gym.registry), 3, 0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        for beginning, package in PACKAGES.items():
            if name.startswith(beginning):
                hint = f" {package} registers it: --environment {package}:{name}"
        raise BadEnvironment(
            f"`environment` {_shown(name)} is not registered with Gymnasium."
            f"{hint or ' Give a registered id, or module:name.'}"
        ) from error
    return name


def _hint_of_kwargs(error: BaseException) -> str:
    if isinstance(error, TypeError) and "missing" in str(error):
        return " --env_kwargs '{\"name\": value}' passes arguments to it."
    return ""


def _shown(text: str) -> str:
    return text if text.isprintable() else ascii(text)
