"""The tree of user-facing errors. The text of each is a sentence: problem first, then what to do.

Error                    exit code 1: the run, or the study, failed
├── JobError             (trainer.run) the run cannot go on, or its files cannot be delivered
├── EnvironmentFault     an environment failed during the run; a checkpoint is saved
├── CheckpointError      a checkpoint is damaged, or another run's
├── ExportError          a policy cannot be written in an export format
├── StorageError         a request to a bucket failed
│   ├── Unreachable      the service does not answer, or fails; it may work later
│   ├── Refused          the service refuses; trying again does not help
│   └── Conflict         another process has written or deleted the object
├── Taken                another process works on the folder
├── NoFileLocks          the platform has no file locks
├── InvalidSpec          a search space has errors
├── StudyError           a study's file cannot be read or written, or is another study's
├── StudyFailed          a study has no result
├── Occupied             another tuner works in the folder
├── StillRunning         a process of an earlier tuner does not end
├── ContainerError       a container cannot be started or ended
├── RayError             the Ray cluster cannot be used, or stopped answering
├── JobError             (tuner.cloud) a cloud job cannot be described
├── SyncError            the study in the bucket does not fit the one in the folder
├── FetchError           files cannot be downloaded
├── NotARecipe           a file is not a study's best.json
├── NothingThere         a folder holds no study or run to show, or nothing to report
└── BadCommand           exit code 2: the command asks for what cannot be done
    ├── BadAddress       neither a folder nor gs://bucket/path
    ├── NoClient         the client of Google Cloud Storage is not installed
    └── BadEnvironment   the environment is unknown, cannot be made or cannot be used
        └── UnnamedCode  a job dir names code to import that the command does not name

A subclass stands beside the code that raises it. Any other exception is a bug, and keeps its
traceback.
"""

from __future__ import annotations

SUCCESS, FAILED, BAD_COMMAND = 0, 1, 2  # exit codes; 128 + n where signal n ended the process


class Error(Exception):
    """An error with a sentence for the user: the problem first, then what to do."""

    exit_code = FAILED


class BadCommand(Error):
    """The command asks for what cannot be done; nothing was touched."""

    exit_code = BAD_COMMAND
