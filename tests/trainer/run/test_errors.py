"""What a user is told of an error that ended a run, and with which exit code."""

from __future__ import annotations

import errno

import pytest

from trainer.contract.errors import BadCommand, Error
from trainer.run.errors import JobError, as_error


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
