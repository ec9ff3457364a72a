"""`python -m benchmarks.film`: an animation of one agent before, during and after training.

Trains A2C with its defaults, and plays three of its policies greedily from the same start states:
the untrained one, an early one, and the final one. When a pole falls, its panel continues with the
next start state. Writes `results/episode.gif`, which README.md shows.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import imageio
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.machine import RESULTS

EARLY = 50.0  # the early policy is the first whose validation score reaches this
COLUMNS, ROWS, WIDTH = slice(110, 490), slice(150, 330), 288  # of CartPole's 600 x 400 pixels
EVERY = 3  # every third frame is shown; CartPole draws 50 a second
FALLEN, LAST = 7, 25  # pictures for which a fallen pole, and the end, are shown
INK, FAINT, RED = (33, 37, 41), (134, 142, 150), (201, 42, 42)
POLE, AXLE, BLACK = (202, 152, 101), (129, 132, 203), (0, 0, 0)
# White, and five steps from it to each colour. Few colours make a small file.
PALETTE = [(255, 255, 255)] + [
    tuple(round(255 + (part - 255) * step / 5) for part in colour)
    for colour in (BLACK, POLE, AXLE, INK, FAINT, RED)
    for step in range(1, 6)
]


class Episode(NamedTuple):
    """A whole episode, and the frames that are shown."""

    steps: int
    fell: bool
    frames: list[NDArray[np.uint8]]  # of steps 0, EVERY, 2 * EVERY, ... and the last


class Panel(NamedTuple):
    """One third of the animation: a policy and its episodes."""

    title: str
    episodes: list[Episode]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of the training (default: 0)")
    parser.add_argument(
        "--start", type=int, default=0, help="seed of the first start state (default: 0)"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "episode.gif")
    chosen = parser.parse_args()
    panels = film_of_a_training(chosen.seed, chosen.start)
    write(montage(panels), chosen.output)
    for panel in panels:
        print(f"{panel.title}: {', '.join(str(episode.steps) for episode in panel.episodes)} steps")
    print(f"{chosen.output}: {chosen.output.stat().st_size / 1000:.0f} kB")


def film_of_a_training(seed: int, start: int) -> list[Panel]:
    """Trains one agent; returns the panels of three of its policies."""
    from trainer.contract.command_line import parse
    from trainer.environments import spec
    from trainer.process import tensorflow_env
    from trainer.process.console import quiet_standard_error

    tensorflow_env.prepare()
    with quiet_standard_error(), tensorflow_env.importing():
        import tensorflow  # noqa: F401
    from trainer.run.state import RunState

    command = parse(["--seed", str(seed), "--evaluation_every", "500"])
    environment = spec.find(command.options.environment)
    run = RunState(command, environment, environment.reward_threshold)
    panels = [Panel("before training", episodes(run, start))]

    def on_evaluation(evaluation: Any) -> None:
        if len(panels) == 1 and evaluation.scores[0] >= EARLY:
            panels.append(Panel(f"after {evaluation.steps:,} steps", episodes(run, start)))

    run.train(on_evaluation)
    title = f"after {int(run.progress.steps[0]):,} steps"
    return [*panels, Panel(title, episodes(run, start))]


def episodes(run: Any, start: int) -> list[Episode]:
    """Greedy episodes of the current policy, from one start state after another."""
    longest = run.environment.max_episode_steps
    played: list[Episode] = []
    while sum(len(episode.frames) + FALLEN for episode in played) * EVERY < longest:
        played.append(
            episode(run.environment, lambda x: run.agents.act_greedily(0, x), start + len(played))
        )
    return played


def episode(environment: Any, policy: Callable[[Any], int], seed: int) -> Episode:
    """One episode of CartPole, as the trainer records it."""
    from trainer.outputs.video import record_episodes, without_a_screen

    without_a_screen()
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder, "episode.mp4")
        (score,) = record_episodes(
            environment, policy, video, seeds=[seed],
            frames_per_second=environment.frames_per_second,
        )  # fmt: skip
        steps = int(score)  # CartPole's reward is 1 for each
        shown = {*range(0, steps, EVERY), steps}
        with imageio.get_reader(video, format="FFMPEG") as frames:
            kept = [frame[ROWS, COLUMNS] for step, frame in enumerate(frames) if step in shown]
    return Episode(steps, steps < environment.max_episode_steps, kept)


def montage(panels: Sequence[Panel]) -> list[Image.Image]:
    """The pictures of the animation, panels side by side, until the last policy's episode ends."""
    strips = [pictures(panel) for panel in panels]
    length = len(panels[-1].episodes[0].frames)
    film = []
    for index in [*range(length), *[length - 1] * LAST]:
        row = [strip[min(index, len(strip) - 1)] for strip in strips]
        picture = Image.new("RGB", (sum(part.width for part in row), row[0].height), "white")
        for place, part in enumerate(row):
            picture.paste(part, (place * part.width, 0))
        film.append(picture)
    return film


def pictures(panel: Panel) -> list[Image.Image]:
    """The pictures of one panel: its episodes one after another, each with its step count."""
    strip = []
    for number, episode in enumerate(panel.episodes, 1):
        which = f"episode {number}" if episode.fell or number > 1 else ""
        for index, frame in enumerate(episode.frames):
            step = min(index * EVERY, episode.steps)
            over = index == len(episode.frames) - 1
            colour = RED if over and episode.fell else INK
            words = f"step {step}"
            if over:
                words = f"fell at step {step}" if episode.fell else f"{step} of {step} steps"
            picture = labelled(frame, panel.title, words, colour, which)
            strip += [picture] * (FALLEN if over and episode.fell else 1)
    return strip


def labelled(
    frame: NDArray[np.uint8], title: str, words: str, colour: tuple[int, int, int], which: str
) -> Image.Image:
    """A frame with its panel's title above and the step count below."""
    height = round(WIDTH * frame.shape[0] / frame.shape[1])
    scene = Image.fromarray(frame).resize((WIDTH, height), Image.Resampling.LANCZOS)
    picture = Image.new("RGB", (WIDTH, height + 56), "white")
    picture.paste(scene, (0, 28))
    draw = ImageDraw.Draw(picture)
    middle, below = WIDTH // 2, height + 42
    draw.text((middle, 15), title, INK, font("DejaVuSans-Bold", 13), anchor="mm")
    if which:
        draw.text((12, below), which, FAINT, font("DejaVuSans", 12), anchor="lm")
    draw.text((WIDTH - 12, below), words, colour, font("DejaVuSans", 13), anchor="rm")
    return picture


def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that comes with matplotlib, so that the result is the same on every machine."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf"), size)


def write(film: Sequence[Image.Image], path: Path) -> None:
    """Writes an endless animation: a GIF or, by the file name, a PNG."""
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in PALETTE for part in colour])
    few = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in film]
    few[0].save(path, save_all=True, append_images=few[1:], duration=20 * EVERY, loop=0)


if __name__ == "__main__":
    main()
