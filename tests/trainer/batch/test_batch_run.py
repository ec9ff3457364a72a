"""One run of a batch: its errors and its environment variables are its own."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainer.batch import batch_run
from trainer.batch.batch_run import BatchRun
from trainer.contract.errors import BadCommand


def no_space() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_files_that_cannot_be_closed_cost_no_answer(tmp_path: Path) -> None:
    """What could not be written is tried once more when a file is closed."""
    log = tmp_path / "log"
    run = BatchRun({"id": 7, "arguments": [], "log": str(log)}, {})
    run._run = SimpleNamespace(close=no_space)  # type: ignore[assignment]
    run.exit_code = 1
    assert run.close()["id"] == 7
    assert run._log is not None and run._log.closed


def test_a_log_that_cannot_be_closed_costs_no_answer() -> None:
    run = BatchRun({"id": 7, "arguments": []}, {})
    run._log = SimpleNamespace(close=no_space)  # type: ignore[assignment]
    assert run.close()["id"] == 7


def test_a_runs_variables_are_added_to_those_of_the_process_for_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def prepare(command: object, arguments: object, environ: dict[str, str]) -> None:
        seen.append(dict(environ))
        raise BadCommand("No further.")

    monkeypatch.setattr(batch_run, "prepare", prepare)
    before, process = dict(os.environ), {"CLOUD_ML_TRIAL_ID": "3", "HOME": "/root"}
    for environ in ({"CLOUD_ML_TRIAL_ID": "7"}, {}):
        run = BatchRun({"id": 1, "arguments": [], "environ": environ}, process)
        run.begin()
        assert run.exit_code == 2
    assert seen == [process | {"CLOUD_ML_TRIAL_ID": "7"}, process]
    assert dict(os.environ) == before
