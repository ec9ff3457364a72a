"""Watching a saved policy.

More than 250 lines, since each thing that a job dir may hold in a model's place has a test.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import imageio
import keras
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from trainer import play
from trainer.agents.networks import Architecture
from trainer.agents.population import Agents
from trainer.agents.random_streams import Streams
from trainer.contract import job_files
from trainer.contract.settings import Hyperparameters
from trainer.outputs import models
from trainer.storage.job_dir import JobDir

# Keras' variables do not know NumPy 2's `copy` keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

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
    from tests.conftest import run_module

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
    assert names == set(job_files.ARTEFACTS) | {"play.mp4"}
    for name in (job_files.MANIFEST, job_files.MODEL, job_files.RECORDING):
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
    assert f"{tmp_path / 'none'} holds no {job_files.MODEL}" in refusal(str(tmp_path / "none"))


def test_a_folder_without_a_model_is_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    assert f"holds no {job_files.MODEL}" in refusal(str(tmp_path))


def test_a_file_is_no_folder_of_a_run(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / "file").write_text("")
    assert f"holds no {job_files.MODEL}" in refusal(str(tmp_path / "file"))


@pytest.mark.parametrize("settings", [None, "{", "{}", '{"settings": {"environment": 7}}'])
def test_a_folder_that_does_not_say_its_environment_is_refused(
    settings: str | None, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    (tmp_path / job_files.MODEL).write_text("")
    if settings is not None:
        (tmp_path / job_files.SETTINGS).write_text(settings)
    assert "names no environment" in refusal(str(tmp_path))


def test_an_environment_that_is_not_registered_here_is_refused(
    tmp_path: Path, refusal: Callable[..., str]
) -> None:
    (tmp_path / job_files.MODEL).write_text("")
    (tmp_path / job_files.SETTINGS).write_text('{"settings": {"environment": "Gone-v0"}}')
    assert "Gone-v0 is not registered" in refusal(str(tmp_path))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path, refusal: Callable[..., str]) -> None:
    (tmp_path / job_files.MODEL).write_text("no model")
    (tmp_path / job_files.SETTINGS).write_text('{"settings": {"environment": "CartPole-v1"}}')
    assert job_files.MODEL in refusal(str(tmp_path))


@pytest.mark.parametrize(
    "flag, sentence",
    [
        ("--episodes=0", "episodes=0 is too small."),
        ("--seed=-1", "seed=-1 is negative."),
        ("--episodes=1.5", "episodes"),
        ("--speed=2", "--speed"),
    ],
)
def test_a_bad_flag_is_refused(
    flag: str, sentence: str, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    assert sentence in refusal(str(tmp_path), flag)


# What a job dir may hold


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model and the settings of a run on CartPole."""
    job_dir = JobDir(tmp_path_factory.mktemp("saved"))
    agents = Agents(
        "a2c", Architecture((4,), 2, 4, critic=True), [Hyperparameters()], Streams([(0, 0)])
    )
    model = models.keras_model(agents, 0)
    job_dir.write(job_files.MODEL, model.save)
    job_dir.write_json(job_files.SETTINGS, {"settings": {"environment": "CartPole-v1"}})
    return job_dir.path


@pytest.fixture
def job(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "job"))


def say_environment(job: Path, name: Any) -> None:
    (job / job_files.SETTINGS).write_text(json.dumps({"settings": {"environment": name}}))


def test_a_policy_plays_in_this_process_too(
    job: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "elsewhere.mp4"
    assert play.main([str(job), "--output", str(output)]) == 0
    assert re.fullmatch(rf"episode 1: \d+\nwatch {output}\n", capfd.readouterr().out)
    assert output.is_file() and not (job / "play.mp4").exists()


def test_a_model_of_another_environment_is_refused(job: Path, refusal: Callable[..., str]) -> None:
    say_environment(job, "Acrobot-v1")
    assert "Acrobot-v1" in refusal(str(job))
    assert sorted(p.name for p in job.iterdir()) == [job_files.SETTINGS, job_files.MODEL]


def test_a_model_of_somebody_else_is_refused(job: Path, refusal: Callable[..., str]) -> None:
    inputs = keras.Input((4,))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(job / job_files.MODEL)
    assert f"{job_files.MODEL} is not" in refusal(str(job))


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"config.json": b""},
        {"config.json": b"{}"},
        {"config.json": b"[]"},
        {"config.json": b'{"module": "os", "class_name": "system", "config": {}}'},
        {"metadata.json": b"{}", "config.json": b"{}", "model.weights.h5": b""},
    ],
    ids=str,
)
def test_an_archive_that_is_no_model_is_refused(
    members: dict[str, bytes], job: Path, refusal: Callable[..., str]
) -> None:
    with zipfile.ZipFile(job / job_files.MODEL, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert f"{job_files.MODEL} is not the Keras model of a policy" in refusal(str(job))


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_half_a_model_is_refused(keep: float, job: Path, refusal: Callable[..., str]) -> None:
    content = (job / job_files.MODEL).read_bytes()
    (job / job_files.MODEL).write_bytes(content[: int(keep * len(content))])
    assert f"{job_files.MODEL} is not the Keras model of a policy" in refusal(str(job))


@pytest.mark.parametrize("name", ["Pendulum-v1", ".:CartPole-v1", "gone:CartPole-v1", "", "-v0"])
def test_an_environment_that_is_none_is_refused(
    name: str, job: Path, refusal: Callable[..., str]
) -> None:
    say_environment(job, name)
    assert "`environment`" in refusal(str(job))


@pytest.mark.parametrize("address", ["gs://bucket", "s3://bucket/job"])
def test_an_address_that_is_none_is_refused(address: str, refusal: Callable[..., str]) -> None:
    assert f"got '{address}'" in refusal(address)


def test_a_run_that_was_cut_short_is_told_what_makes_a_model(
    job: Path, refusal: Callable[..., str]
) -> None:
    (job / job_files.MODEL).unlink()
    assert "`python -m trainer.recover` makes one" in refusal(str(job))


def test_a_full_disk_is_an_error_and_not_the_models_fault(
    job: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert play.main([str(job)]) == 1
    assert capfd.readouterr().err == (
        "error: the model could not be read: No space left on device.\n"
    )


def test_a_video_that_cannot_be_written_is_an_error(
    job: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert play.main([str(job), "--output", str(tmp_path / "file" / "play.mp4")]) == 1
    assert re.fullmatch(r"error: [^\n]+ could not be written: [^\n]+\.\n", capfd.readouterr().err)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary()
    | JSON.map(lambda x: json.dumps(x).encode())
    | JSON.map(lambda x: json.dumps({"settings": x}).encode())
    | JSON.map(lambda x: json.dumps({"settings": {"environment": x}}).encode())
)
@example(content=b'{"places": {"model.keras": "\\ud800"}}')
@example(content=b'{"settings": {"environment": "\\ud800:\\ud800-v0"}}')
@example(content=b'{"settings": {"environment": "a\\u0000:b-v0"}}')
@example(content=b'{"settings": {"environment": "a\\nb"}}')
@example(content=b"[" * 100_000)
def test_whatever_the_settings_hold_they_are_refused(
    content: bytes, saved: Path, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    shutil.copy(saved / job_files.MODEL, tmp_path)
    (tmp_path / job_files.SETTINGS).write_bytes(content)
    refusal(str(tmp_path))


def test_a_link_in_the_place_of_the_video_is_not_written_through(job: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    for name in ("play.mp4", ".new-play.mp4"):
        (job / name).symlink_to(tmp_path / "precious")
    assert play.main([str(job)]) == 0
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (job / "play.mp4").is_symlink()


def test_pipes_and_endless_files_are_refused_at_once(
    job: Path, refusal: Callable[..., str]
) -> None:
    (job / job_files.MODEL).unlink()
    os.mkfifo(job / job_files.MODEL)
    assert f"holds no {job_files.MODEL}" in refusal(str(job))
    (job / job_files.MODEL).unlink()
    (job / job_files.MODEL).symlink_to("/dev/zero")
    assert f"holds no {job_files.MODEL}" in refusal(str(job))
