"""Episodes as a video, rendered without a screen."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imageio
import numpy as np

from trainer.contract.job_files import RECORDING
from trainer.environments.spec import Environment
from trainer.storage.job_dir import JobDir

log = logging.getLogger("trainer")

FRAMES_PER_SECOND = 30  # more take longer to encode and show no more
# Flat colours compress well with any preset; the fastest takes half the time.
_FAST = ("-preset", "ultrafast", "-threads", "1")
_RED_GREEN_BLUE = (b"\xff\0\0", b"\0\xff\0", b"\0\0\xff")
Policy = Callable[[np.ndarray[Any, Any]], int]  # one encoded observation to an action, from 0
# Closing one environment closes pygame for all threads that draw with it.
_drawing = threading.Lock()


def record_episodes(
    environment: Environment,
    policy: Policy,
    path: Path,
    *,
    seeds: Sequence[int],
    frames_per_second: int = FRAMES_PER_SECOND,
) -> list[float]:
    """Plays one episode for each seed and records them in one mp4, in real time.

    Returns their undiscounted returns. Renderer and encoder may raise any exception.

    Args:
        frames_per_second: at most; of more, every second is kept, or every third, and the last.
    """
    every = math.ceil(environment.frames_per_second / frames_per_second)
    with (
        _drawing,
        contextlib.closing(environment.make(render_mode="rgb_array")) as env,
        _writer(path, environment.frames_per_second / every) as video,
    ):
        return [_record(environment, env, policy, seed, video, every) for seed in seeds]


def save_recording(
    job_dir: JobDir, environment: Environment, policy: Policy, *, seed: int
) -> str | None:
    """Records an episode into the job dir. Returns the error, if any: it must not end the run."""
    without_a_screen()
    try:
        job_dir.write(
            RECORDING, lambda path: record_episodes(environment, policy, path, seeds=[seed])
        )
    except Exception as error:  # renderers and encoders raise anything
        log.error("No video: %s", error)
        return f"{type(error).__name__}: {error}"
    return None


def try_one_frame(environment: Environment) -> None:
    """Renders and encodes one frame. Renderer and encoder may raise any exception."""
    with (
        _drawing,
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(environment.make(render_mode="rgb_array")) as env,
        _writer(Path(folder, "frame.mp4"), environment.frames_per_second) as video,
    ):
        env.reset(seed=0)
        video.append_data(_frame(env))


def _writer(path: Path, frames_per_second: float) -> Any:
    # H.264 needs even widths and heights; imageio's default, multiples of 16, would stretch frames.
    return imageio.get_writer(
        path, format="FFMPEG", fps=frames_per_second, macro_block_size=2, output_params=[*_FAST]
    )


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
    """Makes SDL, with which pygame draws, render into memory."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")


def _give_canvas(env: Any) -> None:
    """Makes pygame draw into bytes in a frame's order: red, green, blue.

    By default its surfaces have another order, and reordering them in NumPy takes longer than
    drawing. The frames are the same.
    """
    screen = getattr(env.unwrapped, "screen", None)
    pygame = sys.modules.get("pygame")  # loaded by an environment that draws with it
    if pygame is not None and isinstance(screen, pygame.Surface):
        masks = [int.from_bytes(mask, sys.byteorder) for mask in _RED_GREEN_BLUE]
        env.unwrapped.screen = pygame.Surface(screen.get_size(), 0, 24, (*masks, 0))


def _frame(env: Any) -> np.ndarray[Any, Any]:
    frame = env.render()
    if frame is None:
        raise RuntimeError("the environment rendered no frame")
    return np.asarray(frame)
