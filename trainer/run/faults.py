"""How a run ends: its exit code and, of a fault that ended it, the sentence for the user."""

from __future__ import annotations

from trainer.environments.errors import EnvironmentFault
from trainer.run.job_dir import BadCommand, JobError

SUCCESS, FAILED, BAD_COMMAND = 0, 1, 2
FAULTS = (
    BadCommand,
    JobError,
    EnvironmentFault,
    OSError,
)  # what can be mended from outside; others are ours


def told(fault: BadCommand | JobError | EnvironmentFault | OSError) -> tuple[str, int]:
    """The sentence and the exit code."""
    if isinstance(fault, OSError):
        where = f" ({fault.filename})" if fault.filename else ""
        return f"The run could not go on: {fault.strerror or fault}{where}.", FAILED
    return str(fault), BAD_COMMAND if isinstance(fault, BadCommand) else FAILED
