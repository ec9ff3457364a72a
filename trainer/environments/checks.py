"""Checks of an environment before training: one reset and one step against its spaces."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from trainer.environments.errors import BadEnvironment, cause, log_traceback


def check(name: str, env: gym.Env[Any, Any], action: int) -> bool:
    """Resets and steps once; returns whether `info` has an action mask.

    Raises:
        BadEnvironment: it raised, or does not follow Gymnasium's API.
    """
    try:
        result = env.reset(seed=0)
    except Exception as error:
        raise _failed(name, "reset(seed=0)", error) from error
    if not isinstance(result, tuple) or len(result) != 2:
        raise BadEnvironment(
            f"`environment` {name} must return (observation, info) from reset, as Gymnasium asks"
            f" for, but returned {_shown(result)}."
        )
    observation, info = result
    _check_observation(name, "reset", env.observation_space, observation)
    mask = _mask(info)
    if mask is not None and len(allowed := np.flatnonzero(mask)):
        action += int(allowed[0])
    try:
        stepped: Any = env.step(np.int64(action))
    except Exception as error:
        if isinstance(error, ValueError) and "to unpack" in str(error):  # of a wrapper around it
            raise _not_five(name, str(error)) from error
        raise _failed(name, f"step({action})", error) from error
    if not isinstance(stepped, tuple) or len(stepped) != 5:
        raise _not_five(name, f"it returned {_shown(stepped)}")
    observation, reward, terminated, truncated, info = stepped
    _check_observation(name, "step", env.observation_space, observation)
    if np.ndim(reward) != 0 or not _is_number(reward):
        raise BadEnvironment(
            f"`environment` {name} must return a reward that is one number, but its first step"
            f" returned {_shown(reward)}."
        )
    if not math.isfinite(reward):
        raise BadEnvironment(
            f"`environment` {name} must return a reward that is finite, but its first step"
            f" returned {reward}."
        )
    for field, value in (("terminated", terminated), ("truncated", truncated)):
        if not isinstance(value, bool | np.bool_ | int):
            raise BadEnvironment(
                f"`environment` {name} must return {field} as true or false, but its first step"
                f" returned {_shown(value)}."
            )
    return mask is not None or _mask(info) is not None


def _mask(info: Any) -> Any:
    return info.get("action_mask") if isinstance(info, dict) else None


def _check_observation(name: str, method: str, space: spaces.Space[Any], value: Any) -> None:
    """Checks an observation against its space. Values out of bounds pass: many tasks have them."""
    must = f"`environment` {name} must return observations of {_one_line(space)} from {method}"
    if isinstance(space, spaces.Box):
        try:
            array = np.asarray(value)
        except Exception as error:
            raise BadEnvironment(f"{must}, but returned {_shown(value)}.") from error
        if array.shape != space.shape:
            raise BadEnvironment(f"{must}, but returned one of shape {array.shape}.")
        kinds = "biu" if np.issubdtype(space.dtype, np.integer) else "biuf"
        if space.dtype != np.bool_ and array.dtype.kind not in kinds:
            raise BadEnvironment(f"{must}, but returned one of {array.dtype}.")
        if not np.isfinite(array).all():
            found = array[~np.isfinite(array)][0]
            raise BadEnvironment(f"{must} that are finite, but returned one with {found}.")
    elif not space.contains(value):
        raise BadEnvironment(f"{must}, but returned {_shown(value)}.")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str | bytes)


def _not_five(name: str, found: str) -> BadEnvironment:
    return BadEnvironment(
        f"`environment` {name} must return (observation, reward, terminated, truncated, info) from"
        f" step, as Gymnasium asks for since Gym 0.26, but {found}."
    )


def _failed(name: str, call: str, error: Exception) -> BadEnvironment:
    log_traceback(error)
    wanted = (
        " Gymnasium calls reset(seed=..., options=...)."
        if isinstance(error, TypeError) and "reset" in call
        else ""
    )
    return BadEnvironment(f"`environment` {name} failed in {call}: {cause(error)}.{wanted}")


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    text = _one_line(value)
    return text if len(text) <= 80 else f"a {type(value).__name__}"


def _one_line(value: Any) -> str:
    return " ".join(str(value).split())
