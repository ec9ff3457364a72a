"""Episodes as a video, rendered without a screen."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imageio
import numpy as np

from trainer.environments import Environment

# Flat colours are small however they are encoded: the quickest way takes half the time.
_QUICKLY = ("-preset", "ultrafast", "-threads", "1")
Policy = Callable[[np.ndarray[Any, Any]], int]  # one encoded observation to an action, from 0


def record_episodes(
    environment: Environment, policy: Policy, path: Path, *, seeds: Sequence[int]
) -> list[float]:
    """Plays whole episodes, one a seed, into one mp4 at the environment's own frame rate.

    Returns their undiscounted returns. Whatever the renderer raises comes through.
    """
    env = environment.make(render_mode="rgb_array")
    try:
        # Two is the largest factor that H.264 asks of width and height; 16 would stretch frames.
        with imageio.get_writer(
            path, format="FFMPEG", fps=environment.frames_per_second, macro_block_size=2,
            output_params=[*_QUICKLY],
        ) as video:  # fmt: skip
            return [_record(environment, env, policy, seed, video) for seed in seeds]
    finally:
        env.close()


def _record(environment: Environment, env: Any, policy: Policy, seed: int, video: Any) -> float:
    observation, _ = env.reset(seed=seed)
    video.append_data(_frame(env))
    total, over = 0.0, False
    while not over:
        action = policy(environment.encode([observation])[0]) + environment.first_action
        observation, reward, terminated, truncated, _ = env.step(action)
        video.append_data(_frame(env))
        total, over = total + float(reward), terminated or truncated
    return total


def without_a_screen() -> None:
    """Makes SDL, which draws for pygame, render into memory."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")


def _frame(env: Any) -> np.ndarray[Any, Any]:
    frame = env.render()
    if frame is None:
        raise RuntimeError("the environment rendered no frame")
    return np.asarray(frame)
