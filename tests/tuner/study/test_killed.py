"""A tuner that is killed and started again at once loses no trial, with every engine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, TIMEOUT, cloudless_environment
from tests.support.ray_machines import Machines
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("ray")]

SPACE = (
    (ROOT / "templates" / "smoke.yaml")
    .read_text(encoding="utf-8")
    .replace("total_steps=2000", "total_steps=6000")
    .replace("  - --seeds=2\n", "  - --seeds=2\n  - --video=false\n  - --sync_every=0.5\n")
    .replace("maxParallelTrials: 1", "maxParallelTrials: 2")
    .replace("enableTrialEarlyStopping: true", "enableTrialEarlyStopping: false")
)


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    cluster = Machines(2)
    yield cluster
    cluster.close()


def start(folder: Path, *flags: str, **environment: str) -> subprocess.Popen[str]:
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    words = ["run", "space.yaml", "--job-dir", "study", "--candidates", "1", "--max-trials", "2"]
    return subprocess.Popen(
        [sys.executable, "-m", "tuner", *words, *flags],
        cwd=folder,
        env=cloudless_environment() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "engine, moment",
    [
        ("stacked", "study/1/hyperparameters.json"),
        ("process", "study/*/checkpoint*"),
        ("ray", "study/confirm-*/*/hyperparameters.json"),
    ],
)
def test_interrupted_trials_are_run_again_from_their_checkpoints(
    tmp_path: Path, machines: Machines, engine: str, moment: str
) -> None:
    flags, environment = ["--engine", engine], dict[str, str]()
    if engine == "ray":
        flags += ["--address", machines.address]
        environment = machines.environment
    killed = start(tmp_path, *flags, **environment)
    wait_until(lambda: killed.poll() is not None or list(tmp_path.glob(moment)))
    killed.kill()
    killed.communicate()
    out, err = start(tmp_path, *flags, **environment).communicate(timeout=TIMEOUT)
    trials = json.loads((tmp_path / "study" / "study.json").read_bytes())
    states = [each["state"] for each in trials["trainingOutput"]["trials"]]
    assert states == ["SUCCEEDED"] * 2, out + err
    assert (tmp_path / "study" / "best.json").exists()
