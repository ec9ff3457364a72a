"""What a user is told of an error that ended a run, and with which exit code."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.support.full_disk import files_end_after
from trainer.contract.errors import BadCommand, Error
from trainer.contract.job_files import MANIFEST
from trainer.run.errors import JobError, as_error
from trainer.storage.job_dir import JobDir


@pytest.mark.parametrize(
    "error, problem, exit_code",
    [
        (BadCommand("That is not possible: 100%s."), "That is not possible: 100%s.", 2),
        (JobError("It cannot go on."), "It cannot go on.", 1),
        (OSError(errno.ENOSPC, "No space left on device", "job/model.keras"),
         "No space left on device: job/model.keras. ", 1),
        (OSError(errno.EIO, "Input/output error"), "Input/output error. ", 1),
        (OSError("cannot read"), "cannot read. ", 1),
    ],
)  # fmt: skip
def test_an_error_has_a_sentence_and_an_exit_code(
    error: Error | OSError, problem: str, exit_code: int
) -> None:
    found = as_error(error)
    assert str(found).startswith(problem)
    assert found.exit_code == exit_code
    assert found is error or found.__cause__ is error


def test_a_file_without_room_is_named(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path)
    with files_end_after(10), pytest.raises(OSError) as error:
        job_dir.write_json(MANIFEST, {"state": "succeeded"})
    assert str(as_error(error.value)).startswith(f"File too large: {tmp_path / MANIFEST}. ")
