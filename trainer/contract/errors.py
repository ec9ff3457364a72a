"""The error tree: an `Error` is what a user can mend. Its text is a sentence, problem first.

Error                    exit code 1: the run, or the study, failed
├── JobError             one run cannot go on, or its files cannot be delivered
├── StorageError         a request to a bucket failed: Unreachable, Refused, Conflict
├── Taken, NoFileLocks   another process works on the folder; the platform has no locks
├── CheckpointError      a checkpoint is damaged, or another run's
├── EnvironmentFault     an environment failed during the run; a checkpoint is saved
├── StudyError           a study's file cannot be read or written, or is another study's
├── StudyFailed          a study came to no result
├── Occupied             another tuner works in the folder
├── StillRunning         a process of an earlier tuner does not end
├── ContainerError       a container cannot be started or ended
├── RayError             the Ray cluster cannot be used, or stopped answering
└── BadCommand           exit code 2: the command asks for what cannot be done
    ├── BadAddress       neither a folder nor gs://bucket/path
    ├── NoClient         the client of Google Cloud Storage is not installed
    └── BadEnvironment   the environment is unknown, cannot be made or cannot be used

A subclass stands beside the code that raises it. Whatever is not an `Error` is a fault of ours and
keeps its traceback.
"""

from __future__ import annotations

SUCCESS, FAILED, BAD_COMMAND = 0, 1, 2  # exit codes; 128 + n where signal n ended the process


class Error(Exception):
    """An error with a sentence for the user: the problem first, then what to do."""

    exit_code = FAILED


class BadCommand(Error):
    """The command asks for what cannot be done; nothing was touched."""

    exit_code = BAD_COMMAND
