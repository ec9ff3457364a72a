"""What is said of a fault that ended a run, and with which exit code."""

from __future__ import annotations

import errno

import pytest

from trainer.run import faults
from trainer.run.job_dir import BadCommand, JobError


@pytest.mark.parametrize(
    "fault, sentence, exit_code",
    [
        (BadCommand("It must be so: 100%s."), "It must be so: 100%s.", 2),
        (JobError("It cannot go on."), "It cannot go on.", 1),
        (OSError(errno.ENOSPC, "No space left on device", "job/model.keras"),
         "The run could not go on: No space left on device (job/model.keras).", 1),
        (OSError(errno.EIO, "Input/output error"),
         "The run could not go on: Input/output error.", 1),
        (OSError("cannot read"), "The run could not go on: cannot read.", 1),
    ],
)  # fmt: skip
def test_a_fault_has_a_sentence_and_an_exit_code(
    fault: Exception, sentence: str, exit_code: int
) -> None:
    assert isinstance(fault, faults.FAULTS)
    assert faults.told(fault) == (sentence, exit_code)


def test_a_fault_of_ours_has_none() -> None:
    assert not isinstance(ValueError(), faults.FAULTS)
