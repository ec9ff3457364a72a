"""Small environments as people write them, some of them with a fault.

More than 250 lines, since it lists small classes, which tests name by this module:
`tests.support.zoo:Line`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

Step = tuple[Any, Any, Any, Any, dict[str, Any]]


class Line(gym.Env[Any, Any]):
    """A walk on 0 to `size`, which ends at the right end."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    observation_space: spaces.Space[Any] = spaces.Box(-1, 1, (2,), np.float32)
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None, size: int = 10) -> None:
        self.render_mode, self.size = render_mode, size
        self.x = self.t = 0

    def observe(self) -> Any:
        return np.array([self.x / self.size * 2 - 1, 1.0], np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.x, self.t = int(self.np_random.integers(0, self.size // 2)), 0
        return self.observe(), {}

    def step(self, action: Any) -> Step:
        self.x, self.t = max(0, self.x + (1 if action == 1 else -1)), self.t + 1
        over = self.x >= self.size
        return self.observe(), 1.0 if over else -0.1, over, False, {}

    def render(self) -> Any:
        return np.full((64, 96, 3), 20 * self.x, np.uint8)


# Observations


class Matrix(Line):
    observation_space = spaces.Box(-1, 1, (4, 3), np.float32)

    def observe(self) -> Any:
        return np.full((4, 3), self.x / self.size, np.float32)


class Scalar(Line):
    observation_space = spaces.Box(-1, 1, (), np.float32)

    def observe(self) -> Any:
        return np.float32(self.x / self.size)


class Bits(Line):
    observation_space = spaces.MultiBinary(8)

    def observe(self) -> Any:
        return np.array([self.x >> i & 1 for i in range(8)], np.int8)


class Digits(Line):
    observation_space = spaces.MultiDiscrete([2, 11])

    def observe(self) -> Any:
        return np.array([1, min(self.x, 10)])


class Pair(Line):
    observation_space = spaces.Tuple((spaces.Discrete(11), spaces.Discrete(2)))

    def observe(self) -> Any:
        return (min(self.x, 10), 1)


class Named(Line):
    observation_space = spaces.Dict(
        {"goal": spaces.Discrete(3), "position": spaces.Box(0, 1, (1,), np.float32)}
    )

    def observe(self) -> Any:
        return {"position": np.array([self.x / 10], np.float32), "goal": 1}


class ChannelsFirst(Line):
    observation_space = spaces.Box(0, 255, (3, 24, 30), np.uint8)

    def observe(self) -> Any:
        return np.stack([np.full((24, 30), 20 * self.x + c, np.uint8) for c in range(3)])


class SmallImage(Line):
    observation_space = spaces.Box(0, 1, (7, 6, 3), np.float32)

    def observe(self) -> Any:
        image = np.zeros((7, 6, 3), np.float32)
        image[:, min(self.x, 5)] = 1
        return image


class Identifiers(Line):
    observation_space = spaces.Box(0, 2**40, (2,), np.int64)

    def observe(self) -> Any:
        return np.array([2**39 + self.x, self.x], np.int64)


# Faults


class Needs(Line):
    def __init__(self, level: int, render_mode: str | None = None) -> None:
        super().__init__(render_mode)


class NoLicence(Line):
    def __init__(self, render_mode: str | None = None) -> None:
        raise RuntimeError("no licence server at port 7")


class NoFile(Line):
    def __init__(self, render_mode: str | None = None) -> None:
        raise FileNotFoundError(2, "No such file or directory", "prices.csv")


class WrongShape(Line):
    def observe(self) -> Any:
        return np.zeros(3, np.float32)


class WrongType(Line):
    observation_space = spaces.Box(0, 255, (2,), np.uint8)

    def observe(self) -> Any:
        return np.array([0.5, 0.5])


class OldReset(Line):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=seed)[0]


class OldSeed(Line):
    def reset(self) -> Any:  # type: ignore[override]
        return super().reset()


class OldStep(Line):
    def step(self, action: Any) -> Any:
        return (*super().step(action)[:3], {})


class ArrayReward(Line):
    def step(self, action: Any) -> Step:
        observation, reward, *rest = super().step(action)
        return observation, np.array([reward]), *rest  # type: ignore[return-value]


class NoReward(Line):
    def step(self, action: Any) -> Step:
        observation, _, *rest = super().step(action)
        return observation, None, *rest  # type: ignore[return-value]


class FirstNan(Line):
    def observe(self) -> Any:
        return np.full(2, np.nan, np.float32)


class Later(Line):
    """Something happens at the fifth step of an episode."""

    def happens(self, result: Step) -> Step:
        return result

    def step(self, action: Any) -> Step:
        result = super().step(action)
        return self.happens(result) if self.t == 5 else result


class InfiniteReward(Later):
    def happens(self, result: Step) -> Step:
        return result[0], np.inf, *result[2:]


class NanReward(Later):
    def happens(self, result: Step) -> Step:
        return result[0], np.nan, *result[2:]


class HugeReward(Later):
    def happens(self, result: Step) -> Step:
        return result[0], 1e300, *result[2:]


class NanObservation(Later):
    def happens(self, result: Step) -> Step:
        return np.full(2, np.nan, np.float32), *result[1:]


class GrowingObservation(Later):
    def happens(self, result: Step) -> Step:
        return np.zeros(7, np.float32), *result[1:]


class Raises(Later):
    def happens(self, result: Step) -> Step:
        raise ConnectionResetError(104, "the simulator hung up")


class Exits(Later):
    def happens(self, result: Step) -> Step:
        raise SystemExit("bye")


class Dies(Later):
    def happens(self, result: Step) -> Step:
        os.kill(os.getpid(), signal.SIGKILL)
        return result


class Hangs(Later):
    def happens(self, result: Step) -> Step:
        time.sleep(600)
        return result


class Masked(Line):
    """Four actions, of which two are never allowed."""

    action_space = spaces.Discrete(4)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return super().reset(seed=seed)[0], {"action_mask": np.array([0, 1, 1, 0], np.int8)}

    def step(self, action: Any) -> Step:
        if action not in (1, 2):
            raise ValueError(f"action {action} is not allowed")
        return super().step(action)


class Endless(Line):
    def step(self, action: Any) -> Step:
        observation, reward, _, _, info = super().step(action)
        return observation, reward, False, False, info


# Habits


class Counted(Line):
    """Counts how many are open."""

    made = closed = 0

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        Counted.made += 1

    def close(self) -> None:
        Counted.closed += 1


class Restless(Line):
    """Has a thread that nothing ends."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        threading.Thread(target=threading.Event().wait).start()


class Stateful(Line):
    """Repeats itself by its state only: its noise knows no seed."""

    noise = np.random.default_rng(0)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.x, self.t = int(self.noise.integers(0, 5)), 0
        self.rng = np.random.default_rng(self.noise.integers(2**31))
        return self.observe(), {}

    def step(self, action: Any) -> Step:
        return super().step(int(self.rng.integers(2)))

    def get_state(self) -> Any:
        rng = self.rng.bit_generator.state
        return {"x": np.int64(self.x), "t": self.t, "rng": rng, "name": b"line"}

    def set_state(self, state: Any) -> None:
        assert state["name"] == b"line"
        self.x, self.t = int(state["x"]), state["t"]
        self.rng = np.random.default_rng()
        self.rng.bit_generator.state = state["rng"]


def make_long_line(render_mode: str | None = None, size: int = 50) -> Line:
    """A factory."""
    return Line(render_mode, size)


class Doubled(gym.RewardWrapper[Any, Any]):
    def reward(self, reward: Any) -> Any:
        return 2 * reward


def not_a_wrapper(env: Any) -> Any:
    return None


def broken_wrapper(env: Any) -> Any:
    raise KeyError("WRAPPER_HOME")


A_NUMBER = 7

gym.register("ZooLine-v0", Line, max_episode_steps=50, reward_threshold=0.5)
