"""Commands that are refused, and runs in which something goes wrong."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.support.full_disk import files_end_after
from tests.support.task_runs import (
    Process,
    RunTask,
    assert_refused,
    contents,
    load,
    metrics_of,
    weights_of,
)
from trainer import task
from trainer.agents.networks import Architecture
from trainer.agents.population import Agents
from trainer.agents.random_streams import Streams
from trainer.contract import job_files
from trainer.contract.command_line import parse
from trainer.contract.settings import Hyperparameters
from trainer.environments import spec
from trainer.outputs import models, video
from trainer.run.messages import announce
from trainer.run.setup import prepare
from trainer.storage.job_dir import JobDir

# Keras' variables do not know NumPy 2's `copy` keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


# Commands that cannot be carried out


def test_a_job_dir_that_cannot_be_made_is_refused(tmp_path: Path, run_task: RunTask) -> None:
    (tmp_path / "file").write_text("")
    line = assert_refused(run_task("--job_dir", "file/job"))
    assert "Job dir file/job cannot be written to" in line


@pytest.mark.parametrize("address", ["s3://bucket/job", "gs://bucket", "gs://bucket/a/../b"])
def test_an_address_that_is_none_is_refused(
    address: str, tmp_path: Path, run_task: RunTask
) -> None:
    assert f"got '{address}'" in assert_refused(run_task("--job_dir", address))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (("--environment", "CartPool-v1"), "Did you mean CartPole-v1"),
        (("--environment", "Pendulum-v1"), "must have Discrete actions"),
        (
            ("--environment", "Acrobot-v1", "--collector", "compiled"),
            "The compiled collector does not know Acrobot-v1",
        ),
    ],
    ids=["unknown environment", "continuous actions", "compiled collector"],
)
def test_an_environment_that_cannot_be_trained_on_is_refused(
    flags: tuple[str, ...], sentence: str, tmp_path: Path, run_task: RunTask
) -> None:
    assert sentence in assert_refused(run_task(*flags))
    assert list(tmp_path.iterdir()) == []


SMALL_PICTURES = """
import gymnasium, numpy as np
class SmallPictures(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (9, 9, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)
gymnasium.register("SmallPictures-v0", SmallPictures)
"""


def test_an_environment_that_cannot_be_used_costs_no_earlier_run(
    copy_of_the_run: Path, tmp_path: Path, run_task: RunTask
) -> None:
    from tests.conftest import ROOT

    (tmp_path / "small_pictures.py").write_text(SMALL_PICTURES)
    before = contents(copy_of_the_run)
    process = run_task(
        *("--environment", "small_pictures:SmallPictures-v0"),
        *("--job_dir", str(copy_of_the_run), "--overwrite"),
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
    )
    assert process.returncode == 2
    assert "must return (observation, info) from reset" in process.stderr
    assert contents(copy_of_the_run) == before


def test_flags_without_use_are_told_on_stderr(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flags = ["--algorithm", "pg", "--batch_size", "64", "--gae_lambda", "0.9"]
    announce(prepare(parse(flags), flags, {}), "job")
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == ["PG does not use --batch_size and --gae_lambda; the run continues without."]


# Things that go wrong on the way


def test_a_full_disk_ends_a_run_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def carry_out(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "job/model.keras")

    monkeypatch.setattr(task, "carry_out", carry_out)
    assert task.main([]) == 1
    assert capsys.readouterr().err == (
        "ERROR: No space left on device: job/model.keras. Once that is solved, the same command"
        " continues the run.\n"
    )


class DiskFullOfModels(JobDir):
    """Has room for everything but the SavedModel: files in it end after 1,000 bytes."""

    def write(self, name: str, save: Callable[[Path], Any]) -> Path:
        if name != job_files.SAVED_MODEL:
            return super().write(name, save)
        with files_end_after(1_000):
            return super().write(name, save)


def test_a_disk_too_full_for_tensorflow_is_an_error_like_any_other_and_keeps_the_model(
    agents: Agents, tmp_path: Path
) -> None:
    with pytest.raises(OSError):
        models.save_models(DiskFullOfModels(tmp_path), agents, 0, pixels=False)
    assert [path.name for path in tmp_path.iterdir()] == [job_files.MODEL]


@pytest.fixture
def agents() -> Agents:
    streams = Streams([(0, 0)])
    return Agents("a2c", Architecture((4,), 2, 4, True), [Hyperparameters()], streams)


def test_a_broken_renderer_is_an_error_line_and_a_reason_to_write_down(
    agents: Agents,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def record_episodes(_environment: object, _policy: object, path: Path, **_: object) -> None:
        path.write_bytes(b"half a video")
        raise RuntimeError("no screen")

    monkeypatch.setattr(video, "record_episodes", record_episodes)
    job_dir = JobDir(tmp_path)
    job_dir.write_text(job_files.MODEL, "the model")
    environment = spec.find("CartPole-v1")
    problem = video.save_recording(
        job_dir, environment, lambda x: agents.act_greedily(0, x), seed=1
    )
    assert problem == "RuntimeError: no screen"
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("ERROR", "No video: no screen")
    ]
    assert [path.name for path in tmp_path.iterdir()] == [job_files.MODEL]


class Diverged(NamedTuple):
    job_dir: Path
    process: Process


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> Diverged:
    """A run whose steps are far too large."""
    from tests.conftest import TINY_RUN, run_module

    folder = tmp_path_factory.mktemp("diverged")
    flags = (*TINY_RUN, "--learning_rate", "1e30", "--job_dir", "job")
    return Diverged(folder / "job", run_module("trainer.task", *flags, cwd=folder))


def test_a_run_that_diverges_still_ends_well(diverged: Diverged) -> None:
    assert diverged.process.returncode == 0
    assert "Traceback" not in diverged.process.stderr


def test_a_run_that_diverges_says_so_in_its_record(diverged: Diverged) -> None:
    assert load(diverged.job_dir / job_files.MANIFEST)["scores"]["diverged"] == [0, 1]


def test_the_metrics_of_a_run_that_diverges_are_finite(diverged: Diverged) -> None:
    text = (diverged.job_dir / job_files.METRICS).read_text()
    assert "NaN" not in text and "Infinity" not in text
    assert metrics_of(diverged.job_dir)[-1]["mean_score"] > 0


def test_the_weights_of_a_run_that_diverges_are_finite(diverged: Diverged) -> None:
    assert all(np.isfinite(weights).all() for weights in weights_of(diverged.job_dir))
