"""Finds what an earlier process of the same run has left in the job dir."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trainer.contract import provenance
from trainer.contract.errors import BadCommand
from trainer.contract.job_files import CHECKPOINT, MANIFEST, SETTINGS, json_object
from trainer.contract.settings import Command
from trainer.run.errors import JobError
from trainer.storage import files

if TYPE_CHECKING:
    from trainer.storage.checkpoint import Checkpoint, CheckpointError

Reader = Callable[[str], bytes | None]  # the content of an artefact; None if it is missing


class Earlier(NamedTuple):
    """How far an earlier process has taken the run."""

    begun: bool = False
    finished: bool = False
    checkpoint: Checkpoint | None = None


def find_earlier(command: Command, address: str, read_artefact: Reader) -> Earlier:
    """The state of the run in a job dir that holds artefacts.

    Raises:
        BadCommand: it is another run.
        JobError: the checkpoint is damaged.
    """
    from trainer.storage.checkpoint import CheckpointError, read  # NumPy would slow down `--help`

    saved = read_artefact(CHECKPOINT)
    try:
        checkpoint = None if saved is None else read(saved)
    except CheckpointError as error:
        raise unusable(address, error) from error
    headers = [checkpoint.header] if checkpoint else []
    headers.insert(0, json_object(read_artefact(SETTINGS)) or (headers[0] if headers else {}))
    for header in headers:
        if different := provenance.differences(header, command):
            raise BadCommand(
                f"{address} holds another run, with {', '.join(different)}. Choose another job dir,"
                " or replace that run with --overwrite."
            )
    manifest = json_object(read_artefact(MANIFEST))
    return Earlier(True, manifest is not None and manifest.get("state") == "succeeded", checkpoint)


def unusable(address: str, error: CheckpointError) -> JobError:
    return JobError(
        f"Checkpoint {address}/{CHECKPOINT} cannot be used: {error}. --overwrite starts the run"
        " from the beginning."
    )


def read_file(path: Path) -> bytes | None:
    """The content of a file; None if it is missing or cannot be read."""
    try:
        return files.read(path, files.LARGE)
    except OSError:
        return None
