"""One run of a batch: what goes wrong with it is its own."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainer.batch import batch_run
from trainer.batch.batch_run import Member


def no_space() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_files_that_cannot_be_closed_cost_no_answer(tmp_path: Path) -> None:
    """What could not be written is tried once more when a file is closed."""
    log = tmp_path / "log"
    run = Member({"id": 7, "arguments": [], "log": str(log)})
    run._session = SimpleNamespace(close=no_space)  # type: ignore[assignment]
    run.exit_code = 1
    assert run.close()["id"] == 7
    assert run._log is not None and run._log.closed


def test_a_log_that_cannot_be_closed_costs_no_answer() -> None:
    run = Member({"id": 7, "arguments": []})
    run._log = SimpleNamespace(close=no_space)  # type: ignore[assignment]
    assert run.close()["id"] == 7


def test_variables_of_a_run_are_gone_after_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_ML_TRIAL_ID", "3")
    before = dict(os.environ)
    with batch_run._environment({"CLOUD_ML_TRIAL_ID": "7", "CLOUD_ML_JOB_ID": "study"}):
        os.environ["SET_BY_A_LIBRARY"] = "1"
        assert (os.environ["CLOUD_ML_TRIAL_ID"], os.environ["CLOUD_ML_JOB_ID"]) == ("7", "study")
    assert os.environ.pop("SET_BY_A_LIBRARY") == "1", "which is not a run's to undo"
    assert dict(os.environ) == before
    with pytest.raises(ValueError), batch_run._environment({"A_GOOD_ONE": "1", "a=bad": "1"}):
        pass
    assert dict(os.environ) == before
