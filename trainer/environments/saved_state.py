"""States of environments that offer `get_state` and `set_state`, as bytes for a checkpoint."""

from __future__ import annotations

import base64
import json
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit
from numpy.typing import NDArray


def can_be_saved(env: Any) -> bool:
    """Whether saving the state of `env` is enough to continue an episode.

    It is not if a wrapper keeps state of its own, such as stacked frames.
    """
    while isinstance(env, gym.Wrapper):
        if type(env) not in (OrderEnforcing, TimeLimit):
            return False
        env = env.env
    if not all(callable(getattr(env, name, None)) for name in ("get_state", "set_state")):
        return False
    try:
        dump(env.get_state())
    except Exception:  # not savable: seed and actions are replayed instead
        return False
    return True


def save(env: gym.Env[Any, Any]) -> NDArray[np.uint8]:
    return np.frombuffer(dump(env.unwrapped.get_state()), np.uint8)  # type: ignore[attr-defined]


def restore(env: Any, state: NDArray[np.uint8], steps: int) -> None:
    """Restores a saved state; the episode is then `steps` old."""
    env.unwrapped.set_state(parse(state.tobytes()))
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TimeLimit):
            env._elapsed_steps = steps  # type: ignore[assignment]
        env = env.env


def dump(state: Any) -> bytes:
    """JSON, in which arrays and bytes are objects. Raises TypeError for anything else."""
    return json.dumps(state, default=_packed).encode()


def parse(content: bytes) -> Any:
    return json.loads(content, object_hook=_unpacked)


def _packed(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"__bytes__": base64.b64encode(value).decode()}
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in "biuf":
        array = np.asarray(value)
        data = base64.b64encode(array.tobytes()).decode()
        return {"__array__": [array.dtype.str, list(array.shape), data]}
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _unpacked(value: dict[str, Any]) -> Any:
    if value.keys() == {"__bytes__"}:
        return base64.b64decode(value["__bytes__"])
    if value.keys() == {"__array__"}:
        dtype, shape, data = value["__array__"]
        array = np.frombuffer(base64.b64decode(data), dtype).reshape(shape)
        return array.copy() if shape else array[()]
    return value
