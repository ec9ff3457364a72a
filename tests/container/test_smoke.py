"""`scripts/smoke.sh` fails with the name of what is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.container_engine import ROOT, TAG, engine, image

SMOKE = ROOT / "scripts" / "smoke.sh"
CHECK = ROOT / "scripts" / "lib" / "missing_artefacts.py"


def check(job: Path, metric_file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-", str(job), str(metric_file)],
        input=CHECK.read_text(encoding="utf-8"),
        capture_output=True,
        text=True,
    )


@pytest.fixture
def job(finished_run: Any, tmp_path: Path) -> Path:
    """A copy of a finished run, with the metric that a service would have got."""
    shutil.copytree(finished_run.job_dir, tmp_path / "job")
    report = {"trial": "1", "mean_score": "20.0", "global_step": "2000"}
    (tmp_path / "metrics").write_text(json.dumps(report) + "\n")
    return tmp_path / "job"


def test_a_finished_trial_has_it_all(job: Path, tmp_path: Path) -> None:
    ended = check(job, tmp_path / "metrics")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    "name", ["model.keras", "saved_model", "policy.json", "recording.mp4", "manifest.json"]
)
def test_what_is_missing_is_named(job: Path, tmp_path: Path, name: str) -> None:
    (job / name).rename(tmp_path / "elsewhere")
    ended = check(job, tmp_path / "metrics")
    assert ended.returncode == 1
    assert name in ended.stderr


@pytest.mark.parametrize("name", ["model.keras", "recording.mp4", "metrics.jsonl"])
def test_what_is_not_as_the_manifest_says_is_seen(job: Path, tmp_path: Path, name: str) -> None:
    with (job / name).open("ab") as file:
        file.write(b"!")
    ended = check(job, tmp_path / "metrics")
    assert ended.returncode == 1
    assert "manifest.json" in ended.stderr


@pytest.mark.parametrize("content", ["", "{}\n", '{"trial": "1", "mean_score": "nan"}\n'])
def test_a_metric_that_says_nothing_is_missing(job: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics").write_text(content)
    ended = check(job, tmp_path / "metrics")
    assert ended.returncode == 1
    assert "CLOUD_ML_HP_METRIC_FILE" in ended.stderr


def stand_in(folder: Path, training: str) -> str:
    """An engine that has every image, and in whose containers training is this command."""
    path = folder / "engine"
    path.write_text(
        f"""#!/bin/sh
        case "$*" in
            *trainer.task*) {training} ;;
            run*) exec {sys.executable} - /out/1 /out/metrics ;;
        esac
        """
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("training", "said"), [("exit 3", "exit code is 3"), ("true", "the video, recording.mp4")]
)
def test_a_failure_of_any_kind_is_1(tmp_path: Path, training: str, said: str) -> None:
    environment = {**os.environ, "CONTAINER_ENGINE": stand_in(tmp_path, training)}
    ended = subprocess.run([SMOKE], env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert said in ended.stderr


@pytest.mark.parametrize(
    ("flags", "engine_name", "said"),
    [
        (["--remote"], "true", "--local"),
        (["a", "b"], "true", "--local"),
        ([], "no-such-engine", "set CONTAINER_ENGINE"),
        (["image"], "false", "scripts/build_image.sh"),
    ],
)
def test_where_there_is_nothing_to_run_it_is_2(
    flags: list[str], engine_name: str, said: str
) -> None:
    environment = {**os.environ, "CONTAINER_ENGINE": engine_name}
    ended = subprocess.run([SMOKE, *flags], env=environment, capture_output=True, text=True)
    assert ended.returncode == 2
    assert said in ended.stderr


@pytest.mark.container
def test_the_image_passes() -> None:
    image()
    environment = {**os.environ, "CONTAINER_ENGINE": engine()}
    ended = subprocess.run(
        [SMOKE, TAG], env=environment, capture_output=True, text=True, timeout=180
    )
    assert ended.returncode == 0, ended.stderr
