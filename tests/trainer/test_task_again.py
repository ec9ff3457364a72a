"""A command that is given again, and another one for a job dir that is taken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.support.task_runs import RunTask, assert_refused, contents, load, weights_of
from trainer.contract import job_files

# Keras' variables do not know NumPy 2's `copy` keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Repeated(NamedTuple):
    """The finished run's command once more, as a tuning trial this time."""

    job_dir: Path
    metric_file: Path


@pytest.fixture(scope="module")
def repeated(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Repeated:
    from tests.conftest import run_module

    folder = tmp_path_factory.mktemp("repeated")
    env = {
        "CLOUD_ML_HP_METRIC_FILE": str(folder / "tuning" / "output.metrics"),
        "KERAS_BACKEND": "jax",  # another program's, and not installed
    }
    flags = (*finished_run.flags, "--job_dir", "job")
    process = run_module("trainer.task", *flags, env=env, cwd=folder)
    assert process.returncode == 0, process.stderr
    return Repeated(folder / "job", folder / "tuning" / "output.metrics")


def test_the_same_command_gives_the_same_weights_to_the_last_bit(
    finished_run: Any, repeated: Repeated
) -> None:
    ours, theirs = weights_of(finished_run.job_dir), weights_of(repeated.job_dir)
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_the_same_command_gives_the_same_metrics_to_the_last_byte(
    finished_run: Any, repeated: Repeated
) -> None:
    first, second = (
        (job_dir / job_files.METRICS).read_bytes()
        for job_dir in (finished_run.job_dir, repeated.job_dir)
    )
    assert first == second


def test_the_tuning_service_gets_the_final_score_last_of_all(repeated: Repeated) -> None:
    sent = [json.loads(line) for line in repeated.metric_file.read_text().splitlines()]
    final = load(repeated.job_dir / job_files.MANIFEST)["scores"]["mean_score"]
    assert float(sent[-1]["mean_score"]) == final
    steps = [int(line["global_step"]) for line in sent]
    assert steps == sorted(set(steps))


def test_a_finished_run_is_not_run_again(
    copy_of_the_run: Path, finished_run: Any, run_task: RunTask
) -> None:
    before = contents(copy_of_the_run)
    process = run_task(*finished_run.flags, "--job_dir", str(copy_of_the_run))
    assert (process.returncode, process.stderr) == (0, "")
    assert "finished" in process.stdout
    assert contents(copy_of_the_run) == before


def test_another_run_is_refused_a_taken_folder_with_what_differs(
    copy_of_the_run: Path, finished_run: Any, run_task: RunTask
) -> None:
    before = contents(copy_of_the_run)
    process = run_task(
        *finished_run.flags, "--job_dir", str(copy_of_the_run), "--seed", "1", "--gamma=0.9"
    )
    line = assert_refused(process)
    assert "gamma=0.99 (now 0.9), seed=0 (now 1)." in line
    assert "--overwrite" in line
    assert contents(copy_of_the_run) == before


@pytest.fixture(scope="module")
def overwritten(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run's folder after a run with another seed was told to replace it."""
    from tests.conftest import run_module

    folder = tmp_path_factory.mktemp("overwritten")
    job_dir = Path(shutil.copytree(finished_run.job_dir, folder / "job"))
    (job_dir / "notes.txt").write_text("mine")
    flags = (*finished_run.flags, "--seed", "1", "--job_dir", "job", "--overwrite")
    process = run_module("trainer.task", *flags, cwd=folder)
    assert process.returncode == 0, process.stderr
    return job_dir


def test_another_seed_gives_other_weights(finished_run: Any, overwritten: Path) -> None:
    ours, theirs = weights_of(finished_run.job_dir), weights_of(overwritten)
    assert not any(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_overwriting_replaces_every_artefact(finished_run: Any, overwritten: Path) -> None:
    old, new = contents(finished_run.job_dir), contents(overwritten)
    assert load(overwritten / job_files.SETTINGS)["settings"]["seed"] == 1
    for name in set(job_files.ARTEFACTS) - {job_files.SAVED_MODEL}:
        assert old[name] != new[name]


def test_overwriting_leaves_other_files_alone(overwritten: Path) -> None:
    assert (overwritten / "notes.txt").read_text() == "mine"
