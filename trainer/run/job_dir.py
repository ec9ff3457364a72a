"""Opens the job dir of a run, a folder or in a bucket, and locks it for that run."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.contract.errors import BadCommand
from trainer.contract.job_files import POSSIBLE_ARTEFACTS
from trainer.contract.settings import Command
from trainer.run import preflight
from trainer.run.earlier import Earlier, find_earlier, read_file
from trainer.run.errors import JobError
from trainer.run.upload import Uploader
from trainer.storage.address import Address
from trainer.storage.atomic import remove
from trainer.storage.file_lock import lock_folder
from trainer.storage.gcs import RemoteFolder, Unreachable
from trainer.storage.job_dir import JobDir

if TYPE_CHECKING:
    from trainer.run.setup import Prepared

log = logging.getLogger("trainer")


class OpenJobDir:
    """A job dir that belongs to this run until it is closed.

    The run writes to the folder `files`. For a job dir in a bucket that is a temporary folder, and
    an uploader copies it to the bucket.
    """

    def __init__(
        self,
        files: JobDir,
        address: str,
        earlier: Earlier,
        *,
        lock: int | None = None,
        uploader: Uploader | None = None,
    ) -> None:
        self.files, self.address, self.earlier = files, address, earlier
        self._lock, self._uploader = lock, uploader
        self._delivered = False

    def start_uploads(self) -> None:
        """Starts copying files to the bucket, if the job dir is in one."""
        if self._uploader is not None:
            self._uploader.start()

    def check_uploads(self) -> None:
        """Raises JobError if uploads can no longer succeed."""
        if self._uploader is not None and self._uploader.fault is not None:
            raise JobError(f"{self._uploader.fault} {self._kept()}") from self._uploader.fault

    def deliver(self, deadline: float) -> None:
        """Uploads everything, within `deadline` seconds.

        Raises:
            JobError: files are missing in the bucket; it names them, and where they are kept.
        """
        if self._uploader is None:
            return
        missing = self._uploader.flush(deadline)
        self.check_uploads()
        if missing:
            raise JobError(
                f"{', '.join(missing)} could not be uploaded to {self.address} within"
                f" {deadline:g} s. {self._uploader.error or ''} {self._kept()}"
            )
        self._delivered = True

    def close(self) -> None:
        """Lets the next run use the job dir."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._uploader is not None:
            self._uploader.close()
            if self._delivered:
                remove(self.files.path)
            with contextlib.suppress(OSError):  # it is not empty if anything was written
                self.files.path.rmdir()

    def _kept(self) -> str:
        kept = self.files.path
        command = shlex.join(["python", "-m", "trainer.sync", str(kept), self.address])
        return f"All files are kept in {kept}; `{command}` uploads them."


def open_job_dir(prepared: Prepared) -> OpenJobDir:
    """Opens the job dir of a run, with what an earlier process has left of that run there.

    Raises:
        BadCommand: there is no such job dir, or it holds another run.
        Error: it cannot be used, or its checkpoint is damaged.
    """
    command, location = prepared.command, prepared.location
    # Vertex' directories are the job dir, unless the command names another.
    places = {} if command.options.job_dir else prepared.service.places
    if isinstance(location, Address):
        return _open_bucket(command, location, places)
    return _open_folder(command, location, places)


def _open_folder(command: Command, folder: Path, places: Mapping[str, str]) -> OpenJobDir:
    try:
        files = JobDir(folder, places)
        preflight.check_files(files)
        lock = lock_folder(files.path)
    except OSError as error:
        raise BadCommand(
            f"Job dir {folder} cannot be written to: {error.strerror}. Choose another folder."
        ) from error
    opened = OpenJobDir(files, str(folder), Earlier(), lock=lock)
    try:
        if files.holds_a_run() and not command.options.overwrite:
            opened.earlier = find_earlier(
                command, opened.address, lambda name: read_file(files.at(name))
            )
        if not opened.earlier.finished:
            files.clear(keep=POSSIBLE_ARTEFACTS if opened.earlier.begun else ())
    except BaseException:
        opened.close()
        raise
    return opened


class _Finished(Exception):
    """The bucket already holds this run, finished: it must not be written to."""


def _open_bucket(command: Command, address: Address, places: Mapping[str, str]) -> OpenJobDir:
    names = {name: places.get(name, name) for name in POSSIBLE_ARTEFACTS}
    earlier = Earlier()

    def prepare(remote: RemoteFolder) -> Iterable[str]:
        """Checks the bucket when it answers; returns the artefacts to delete."""
        nonlocal earlier
        found = [path for path in remote.objects if _is_in(path, names.values())]
        if command.options.overwrite or not found:
            return found

        def read_artefact(name: str) -> bytes | None:
            return remote.read(names[name]) if names[name] in found else None

        earlier = find_earlier(command, str(address), read_artefact)
        if earlier.finished:
            raise _Finished
        return ()

    files = JobDir(tempfile.mkdtemp(prefix="trainer-"), places)
    uploader = Uploader(files.path, RemoteFolder(address), command.options.sync_every, prepare)
    try:
        uploader.connect()
    except Unreachable as error:
        log.warning(
            "%s Training starts all the same. What the bucket holds is checked, and files are"
            " uploaded, as soon as it answers.",
            error,
        )
    except BaseException as error:
        uploader.close()
        remove(files.path)
        if not isinstance(error, _Finished):
            raise
        return OpenJobDir(files, str(address), earlier)
    return OpenJobDir(files, str(address), earlier, uploader=uploader)


def _is_in(path: str, names: Iterable[str]) -> bool:
    return any(path == name or path.startswith(f"{name}/") for name in names)
