"""Watching a saved policy."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import imageio
import pytest

from trainer import artifacts, play

Process = subprocess.CompletedProcess[str]


class Played(NamedTuple):
    """Two episodes of a finished run, played from a copy of its folder."""

    job_dir: Path
    process: Process

    @property
    def returns(self) -> list[int]:
        return [int(x) for x in re.findall(r"episode \d+: (\d+)", self.process.stdout)]


@pytest.fixture(scope="module")
def played(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Played:
    from conftest import run_module

    folder = tmp_path_factory.mktemp("played")
    shutil.copytree(finished_run.job_dir, folder / "job")
    process = run_module("trainer.play", "job", "--episodes", "2", "--seed", "5", cwd=folder)
    return Played(folder / "job", process)


def test_playing_ends_well_and_says_nothing_on_stderr(played: Played) -> None:
    assert (played.process.returncode, played.process.stderr) == (0, "")


def test_playing_tells_the_return_of_every_episode(played: Played) -> None:
    assert len(played.returns) == 2
    assert all(1 <= value <= 500 for value in played.returns)


def test_playing_writes_a_new_video_of_all_episodes(played: Played) -> None:
    with imageio.get_reader(played.job_dir / "play.mp4", "FFMPEG") as video:
        assert video.count_frames() == sum(played.returns) + len(played.returns)
        assert video.get_meta_data()["fps"] == 50


def test_playing_leaves_the_run_as_it_was(played: Played, finished_run: Any) -> None:
    names = {path.name for path in played.job_dir.iterdir()}
    assert names == set(artifacts.ARTEFACTS) | {"play.mp4"}
    for name in (artifacts.MANIFEST, artifacts.MODEL, artifacts.RECORDING):
        assert (played.job_dir / name).read_bytes() == (finished_run.job_dir / name).read_bytes()


@pytest.fixture
def refusal(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Plays in vain; the one line that says why."""

    def refused(*arguments: str) -> str:
        try:
            code: object = play.main(arguments)
        except SystemExit as end:
            code = end.code
        assert code == 2
        line = capfd.readouterr().err
        assert re.fullmatch(r"error: [^\n]+\n", line), line
        return line

    return refused


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    assert f"got job_dir={tmp_path / 'none'}" in refusal(str(tmp_path / "none"))


def test_a_folder_without_a_model_is_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    assert f"must hold a {artifacts.MODEL}" in refusal(str(tmp_path))


def test_a_file_is_no_folder_of_a_run(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "file").write_text("")
    assert f"must hold a {artifacts.MODEL}" in refusal(str(tmp_path / "file"))


@pytest.mark.parametrize("settings", [None, "{", "{}", '{"settings": {"environment": 7}}'])
def test_a_folder_that_does_not_say_its_environment_is_refused(
    settings: str | None, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    (tmp_path / artifacts.MODEL).write_text("")
    if settings is not None:
        (tmp_path / artifacts.SETTINGS).write_text(settings)
    assert "must say which environment" in refusal(str(tmp_path))


def test_an_environment_that_is_not_registered_here_is_refused(
    tmp_path: Path, refusal: Callable[..., str]
) -> None:
    (tmp_path / artifacts.MODEL).write_text("")
    (tmp_path / artifacts.SETTINGS).write_text('{"settings": {"environment": "Gone-v0"}}')
    assert "got environment=Gone-v0" in refusal(str(tmp_path))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / artifacts.MODEL).write_text("no model")
    (tmp_path / artifacts.SETTINGS).write_text('{"settings": {"environment": "CartPole-v1"}}')
    assert artifacts.MODEL in refusal(str(tmp_path))


@pytest.mark.parametrize(
    "flag, sentence",
    [
        ("--episodes=0", "`episodes >= 1` must hold, but got episodes=0."),
        ("--seed=-1", "`seed >= 0` must hold, but got seed=-1."),
        ("--episodes=1.5", "episodes"),
        ("--speed=2", "--speed"),
    ],
)
def test_a_bad_flag_is_refused(
    flag: str, sentence: str, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    assert sentence in refusal(str(tmp_path), flag)
