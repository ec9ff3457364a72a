"""The film of a training: what each picture says, and that it stays small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import film
from benchmarks.machine import RESULTS


def episode(steps: int, *, fell: bool) -> film.Episode:
    """A cart that moves one pixel a step, over the part that is shown."""
    frames = []
    for step in [*range(0, steps, film.EVERY), steps]:
        frame = np.full((180, 380, 3), 255, np.uint8)
        frame[150:160, 40 + step % 300 : 60 + step % 300] = 0
        frames.append(frame)
    return film.Episode(steps, fell, frames)


def test_a_fall_stands_still_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(
        film, "labelled", lambda frame, title, words, colour, which: told.append(words)
    )
    strip = film.pictures(film.Panel("before", [episode(7, fell=True), episode(500, fell=False)]))
    first = ["step 0", "step 3", "step 6", "fell at step 7"]
    assert told[:4] == first and told[4] == "step 0" and told[-1] == "500 of 500 steps"
    assert len(strip) == len(told) + film.FALLEN - 1


def test_the_film_lasts_as_long_as_its_last_policy(tmp_path: Path) -> None:
    falls = film.Panel("before", [episode(9, fell=True)] * 3)
    stands = film.Panel("after", [episode(30, fell=False)])
    pictures = film.montage([falls, stands])
    assert len(pictures) == len(stands.episodes[0].frames) + film.LAST
    assert pictures[0].width == 2 * film.WIDTH
    for name in ("film.gif", "film.png"):
        film.write(pictures, tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert image.is_animated and image.info["loop"] == 0


def test_the_film_that_the_readme_shows_is_small_and_plays_for_ever() -> None:
    path = RESULTS / "episode.gif"
    assert path.stat().st_size < 400_000
    with Image.open(path) as image:
        assert image.n_frames > 100 and image.info["loop"] == 0
