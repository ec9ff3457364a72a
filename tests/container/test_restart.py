"""What a machine that is taken away leaves, another goes on with; and it may lie in a bucket."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.support.container_engine import TINY_RUN, ask, run, running
from tests.support.storage_server import FaultyStorage
from tests.support.waiting import wait_until
from trainer.contract.job_files import ARTEFACTS, CHECKPOINT

pytestmark = pytest.mark.container

# Slow enough to be stopped half-way: Gymnasium, and more evaluations than anybody wants.
LONG_RUN = (
    *("--collector=gymnasium", "--total_steps=25000", "--stop_at_score=none"),
    *("--evaluation_every=1000", "--evaluation_episodes=5"),
)


def test_sigterm_ends_it_with_143_and_the_same_command_goes_on_from_there(tmp_path: Path) -> None:
    job = tmp_path / "job"
    us = ("--user", f"{os.getuid()}:{os.getgid()}", "--volume", f"{tmp_path}:/out")
    metrics = job / "metrics.jsonl"
    with running(*LONG_RUN, "--job-dir=/out/job", options=us) as name:
        wait_until(lambda: metrics.exists() and len(metrics.read_text().splitlines()) >= 3)
        started = time.monotonic()
        ask("stop", "-t", "10", name)
        seconds = time.monotonic() - started
        assert ask("inspect", "--format", "{{.State.ExitCode}}", name) == "143"
    assert seconds < 5
    assert (job / CHECKPOINT).exists()
    before = metrics.read_text()

    ended = run(*LONG_RUN, "--job-dir=/out/job", options=us)
    assert ended.returncode == 0, ended.stderr
    assert metrics.read_text().startswith(before)
    assert json.loads((job / "manifest.json").read_text())["state"] == "succeeded"


def test_a_job_dir_in_a_bucket_gets_every_artefact() -> None:
    with FaultyStorage() as storage:
        ended = run(
            *TINY_RUN,
            f"--job-dir=gs://{storage.bucket}/job/1",
            options=("--network", "host", "--env", f"STORAGE_EMULATOR_HOST={storage.url}"),
        )
        stored = {
            request.name.split("/")[2]
            for request in storage.requests
            if request.wrote and request.name
        }
    assert ended.returncode == 0, ended.stderr
    assert stored >= set(ARTEFACTS)
