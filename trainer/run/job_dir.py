"""Where a run's files go, a folder or a bucket, and what an earlier process has left there."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trainer.contract import provenance
from trainer.contract.job_files import (
    ARTEFACTS,
    CHECKPOINT,
    MANIFEST,
    SETTINGS,
    json_object,
)
from trainer.contract.service import Service
from trainer.contract.settings import Command
from trainer.run.upload import Mirror
from trainer.storage import files
from trainer.storage.address import Address, BadAddress, locate
from trainer.storage.atomic import remove
from trainer.storage.file_lock import Taken, lock_folder
from trainer.storage.gcs import RemoteFolder, StorageError, Unreachable
from trainer.storage.job_dir import JobDir

if TYPE_CHECKING:
    from trainer.storage.checkpoint import Checkpoint, CheckpointError

log = logging.getLogger("trainer")


class BadCommand(Exception):
    """The command asks for what cannot be; the message says what must hold."""


class JobError(Exception):
    """The run cannot go on, or cannot be handed over; the message is a sentence for the user."""


class Earlier(NamedTuple):
    """What an earlier process of the same run has left."""

    begun: bool = False
    finished: bool = False
    checkpoint: Checkpoint | None = None


class _Finished(Exception):
    """There is nothing left to do."""


class Job:
    """A run's folder and, for a bucket, the mirror that carries it there. Close it in the end."""

    def __init__(
        self,
        job_dir: JobDir,
        where: str,
        earlier: Earlier,
        *,
        lock: int | None = None,
        mirror: Mirror | None = None,
    ) -> None:
        self.job_dir, self.where, self.earlier = job_dir, where, earlier
        self._lock, self._mirror = lock, mirror
        self._delivered = False

    def start(self) -> None:
        """Has files follow into the bucket from now on."""
        if self._mirror is not None:
            self._mirror.start()

    def check(self) -> None:
        """Raises JobError once it is certain that the files will never arrive."""
        if self._mirror is not None and self._mirror.fault is not None:
            raise JobError(f"{self._mirror.fault} {self._kept()}") from self._mirror.fault

    def deliver(self, deadline: float) -> None:
        """Sees to it that everything is where it belongs, within `deadline` seconds.

        Raises:
            JobError: it says what is missing, and where it is kept.
        """
        if self._mirror is None:
            return
        missing = self._mirror.flush(deadline)
        self.check()
        if missing:
            raise JobError(
                f"{self.where} must hold all files of the run, but {', '.join(missing)} could not"
                f" be uploaded within {deadline:g} s. {self._mirror.error or ''} {self._kept()}"
            )
        self._delivered = True

    def close(self) -> None:
        """Lets the next run in."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._mirror is not None:
            self._mirror.close()
            if self._delivered:
                remove(self.job_dir.path)
            with contextlib.suppress(OSError):  # of a run that ended before it wrote anything
                self.job_dir.path.rmdir()

    def _kept(self) -> str:
        kept = self.job_dir.path
        words = shlex.join([str(kept), self.where])
        return f"All is kept in {kept}; `python -m trainer.sync {words}` uploads it."


def open_job(command: Command, service: Service) -> Job:
    """The job dir of a command, locked against other runs and looked through for this one.

    Raises:
        BadCommand: the job dir is none, or holds another run.
        JobError: it cannot be used, or its checkpoint is damaged.
    """
    options = command.options
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    fallback = f"runs/{options.algorithm}-{options.environment}-{now}"
    where = options.job_dir or service.job_dir or fallback
    places = {} if options.job_dir else service.places
    try:
        place = locate(where)
    except BadAddress as error:
        raise BadCommand(f"`job_dir` must be a folder, or in a bucket. {error}") from error
    if isinstance(place, Address):
        return _open_bucket(command, place, places)
    return _open_folder(command, where, places)


def _open_folder(command: Command, where: str, places: Mapping[str, str]) -> Job:
    try:
        job_dir = JobDir(where, places)
        lock = lock_folder(job_dir.path)
    except OSError as error:
        raise BadCommand(
            f"`job_dir` must be a folder that can be written to, but got job_dir={where}"
            f" ({error.strerror})."
        ) from error
    except Taken as error:
        raise JobError(str(error)) from error
    job = Job(job_dir, str(job_dir.path), Earlier(), lock=lock)
    try:
        if job_dir.holds_a_run() and not command.options.overwrite:
            job.earlier = _look(command, where, lambda name: _content(job_dir.at(name)))
        if not job.earlier.finished:
            job_dir.clear(keep=ARTEFACTS if job.earlier.begun else ())
    except BaseException:
        job.close()
        raise
    return job


def _open_bucket(command: Command, address: Address, places: Mapping[str, str]) -> Job:
    names = {name: places.get(name, name) for name in ARTEFACTS}
    found = [Earlier()]

    def look(remote: RemoteFolder) -> Iterable[str]:
        theirs = [path for path in remote.objects if _is_in(path, names.values())]
        if command.options.overwrite:
            return theirs
        if theirs:

            def content(name: str) -> bytes | None:
                return remote.read(names[name]) if names[name] in theirs else None

            found[0] = _look(command, str(address), content)
            if found[0].finished:
                raise _Finished(f"{address} holds this very run, finished.")
        return ()

    job_dir = JobDir(tempfile.mkdtemp(prefix="trainer-"), places)
    mirror = Mirror(job_dir.path, RemoteFolder(address), command.options.sync_every, look)
    try:
        mirror.connect()
    except Unreachable as error:
        log.warning(
            "%s Training goes on; what may lie there is looked at, and files are uploaded, once it"
            " answers.",
            error,
        )
    except BaseException as error:
        mirror.close()
        remove(job_dir.path)
        if isinstance(error, _Finished):
            return Job(job_dir, str(address), found[0])
        if isinstance(error, StorageError | Taken):
            raise JobError(str(error)) from error
        raise
    return Job(job_dir, str(address), found[0], mirror=mirror)


def _look(command: Command, where: str, content: Callable[[str], bytes | None]) -> Earlier:
    """What a job dir that holds a run has of it; `content` reads an artefact, if there is one."""
    from trainer.storage.checkpoint import CheckpointError, read  # NumPy would slow down `--help`

    saved = content(CHECKPOINT)
    checkpoint = None
    try:
        checkpoint = None if saved is None else read(saved)
    except CheckpointError as error:
        raise JobError(unusable(where, error)) from error
    before = json_object(content(SETTINGS)) or (checkpoint.header if checkpoint else {})
    if different := provenance.differences(before, command):
        raise BadCommand(
            f"`job_dir` must not hold another run, but {where} has one with"
            f" {', '.join(different)}. Take another folder, or --overwrite to replace it."
        )
    if checkpoint and (different := provenance.differences(checkpoint.header, command)):
        raise BadCommand(
            f"`job_dir` must hold a checkpoint of this run only, but {where} has one with"
            f" {', '.join(different)}. Take another folder, or --overwrite to replace it."
        )
    manifest = json_object(content(MANIFEST))
    return Earlier(True, manifest is not None and manifest.get("state") == "succeeded", checkpoint)


def unusable(where: str, error: CheckpointError) -> str:
    return (
        f"{where}/{CHECKPOINT} must be a checkpoint of this run, but {error}. --overwrite starts"
        " the run afresh."
    )


def _content(path: Path) -> bytes | None:
    try:
        return files.read(path, files.LARGE)
    except OSError:
        return None


def _is_in(path: str, names: Iterable[str]) -> bool:
    return any(path == name or path.startswith(f"{name}/") for name in names)
