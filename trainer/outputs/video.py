"""Episodes as a video, rendered without a screen."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imageio
import numpy as np

from trainer.environments.spec import Environment

FRAMES_PER_SECOND = 30  # twice as many take twice as long, and show nothing more
# Flat colours are small however they are encoded: the quickest way takes half the time.
_QUICKLY = ("-preset", "ultrafast", "-threads", "1")
_RED_GREEN_BLUE = (b"\xff\0\0", b"\0\xff\0", b"\0\0\xff")
Policy = Callable[[np.ndarray[Any, Any]], int]  # one encoded observation to an action, from 0


def record_episodes(
    environment: Environment,
    policy: Policy,
    path: Path,
    *,
    seeds: Sequence[int],
    frames_per_second: int = FRAMES_PER_SECOND,
) -> list[float]:
    """Plays whole episodes, one a seed, into one mp4 at the environment's own pace.

    Returns their undiscounted returns. Whatever the renderer raises comes through.

    Args:
        frames_per_second: at most; of more every other is kept, or every third, and the last.
    """
    every = math.ceil(environment.frames_per_second / frames_per_second)
    env = environment.make(render_mode="rgb_array")
    try:
        # Two is the largest factor that H.264 asks of width and height; 16 would stretch frames.
        with imageio.get_writer(
            path, format="FFMPEG", fps=environment.frames_per_second / every, macro_block_size=2,
            output_params=[*_QUICKLY],
        ) as video:  # fmt: skip
            return [_record(environment, env, policy, seed, video, every) for seed in seeds]
    finally:
        env.close()


def _record(
    environment: Environment, env: Any, policy: Policy, seed: int, video: Any, every: int
) -> float:
    observation, _ = env.reset(seed=seed)
    video.append_data(_frame(env))
    _give_canvas(env)
    total, steps, over = 0.0, 0, False
    while not over:
        action = policy(environment.encode([observation])[0]) + environment.first_action
        observation, reward, terminated, truncated, _ = env.step(action)
        total, steps, over = total + float(reward), steps + 1, terminated or truncated
        if over or steps % every == 0:
            video.append_data(_frame(env))
    return total


def without_a_screen() -> None:
    """Makes SDL, which draws for pygame, render into memory."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")


def _give_canvas(env: Any) -> None:
    """Lets pygame draw into bytes that are in a frame's order: red, green, blue.

    Its own surfaces are the other way round, with a byte between pixels, and NumPy takes longer to
    bring them into order than pygame to draw. What is drawn is the same.
    """
    screen = getattr(env.unwrapped, "screen", None)
    pygame = sys.modules.get("pygame")  # of an environment that draws with it
    if pygame is not None and isinstance(screen, pygame.Surface):
        masks = [int.from_bytes(mask, sys.byteorder) for mask in _RED_GREEN_BLUE]
        env.unwrapped.screen = pygame.Surface(screen.get_size(), 0, 24, (*masks, 0))


def _frame(env: Any) -> np.ndarray[Any, Any]:
    frame = env.render()
    if frame is None:
        raise RuntimeError("the environment rendered no frame")
    return np.asarray(frame)
