"""`scripts/submit_*.sh` as commands, with settings and a search space that are right."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import ROOT

SCRIPTS = ROOT / "scripts"
TIMEOUT = 120  # seconds; gcloud asks for 36 until it gives up
SETTINGS = {
    "BUCKET": "gs://my-bucket",
    "IMAGE_URI": "us-docker.pkg.dev/test/rl/trainer:1",
    "REGION": "us-central1",
    "JOB_NAME": "job_1",
}
SPACE = """
trainingInput:
  scaleTier: BASIC
  args: [--seeds=4]
  hyperparameters:
    goal: MAXIMIZE
    hyperparameterMetricTag: mean_score
    maxTrials: 8
    maxParallelTrials: 2
    enableTrialEarlyStopping: true
    params:
      - {parameterName: learning_rate, type: DOUBLE, minValue: 0.001, maxValue: 0.1,
         scaleType: UNIT_LOG_SCALE}
      - {parameterName: batch_size, type: DISCRETE, discreteValues: [128, 256]}
"""
both_scripts = pytest.mark.parametrize("script", ["submit_ai_platform.sh", "submit_vertex.sh"])


class Submission(NamedTuple):
    """The exit code and output of a script."""

    code: int
    output: str
    errors: str


def run(script: str, *flags: str, cwd: Path, **environment: str) -> Submission:
    """Runs `scripts/<script>` with the given environment, and of this process' only paths."""
    (cwd / "space.yaml").write_text(SPACE, encoding="utf-8")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "VENV") if name in os.environ}
    ended = subprocess.run(
        [str(SCRIPTS / script), *flags],
        cwd=cwd,
        env={**kept, "CONFIG": "space.yaml", **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        stdin=subprocess.DEVNULL,
    )
    return Submission(ended.returncode, ended.stdout, ended.stderr)
