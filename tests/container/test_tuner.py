"""The tuner's trials in the image: metric, files and end are as those of a plain process."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.container_engine import TIMEOUT, TINY_RUN, ask, engine, image
from tests.support.waiting import ended, wait_until
from trainer.contract.job_files import ARTEFACTS, CHECKPOINT
from tuner.execution.containers import Containers, name_of
from tuner.execution.local_trial import LocalTrial, TrialSettings
from tuner.execution.processes import ProcessExecutor
from tuner.execution.trial import METRIC, STOPPED, STOPPED_EARLY, SUCCEEDED
from tuner.execution.trial_command import Task

pytestmark = pytest.mark.container

# Slow enough to be stopped half-way.
LONG_RUN = ("--collector=gymnasium", "--total_steps=500000", "--evaluation_every=1000",
            "--stop_at_score=none", "--evaluation_episodes=5")  # fmt: skip


def start(folder: Path, *flags: str) -> LocalTrial:
    containers = Containers(engine(), image())
    containers.check(folder)
    setting = TrialSettings((), os.environ, "mean_score", "study", TIMEOUT, containers)
    task = Task("trial 1", 1, folder, (*flags, "--job-dir", str(folder)))
    return ProcessExecutor(setting).submit(task)


def test_a_trial_trains_and_reports(tmp_path: Path) -> None:
    folder = tmp_path / "study" / "1"
    outcome = ended(start(folder, *TINY_RUN))
    log = (folder / "trial.log").read_text()
    assert (outcome.state, outcome.last_lines) == (SUCCEEDED, ()), log
    scores = json.loads((folder / "manifest.json").read_text())["scores"]
    assert outcome.measurements[-1].value == pytest.approx(scores["mean_score"])
    assert {path.name for path in folder.iterdir()} >= set(ARTEFACTS)
    assert {path.stat().st_uid for path in folder.rglob("*")} == {os.getuid()}


def test_sigterm_reaches_the_trainer_and_what_is_left_behind_is_ended_first(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "study" / "1"
    reports = folder / METRIC
    trial = start(folder, *LONG_RUN)
    wait_until(lambda: reports.exists() and b"mean_score" in reports.read_bytes())
    trial.stop(STOPPED_EARLY)
    assert ended(trial).state == STOPPED
    assert (folder / CHECKPOINT).exists(), "it had time to save"

    left = start(folder, *LONG_RUN)
    wait_until(lambda: "Continuing from" in (folder / "trial.log").read_text())
    left.runner.process.kill()  # as if the tuner had been killed with it
    left.runner.process.wait()
    name = name_of(folder)
    assert ask("container", "inspect", "--format", "{{.State.Running}}", name) == "true"
    again = start(folder, "--no_such_flag=1")
    assert ended(again).exit_code == 2
    assert name not in ask("ps", "--all", "--format", "{{.Names}}")
