"""Uploads the files of a folder to a bucket, in the background of a run."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from trainer.contract.job_files import MANIFEST
from trainer.storage.gcs import Conflict, Refused, RemoteFolder, StorageError
from trainer.storage.lease import HEARTBEAT, Lease

log = logging.getLogger("trainer")

THREADS = 10  # the client keeps as many connections
BETWEEN_WRITES = 1.05  # seconds; the service accepts one write per second and object
LONGEST_PAUSE = HEARTBEAT  # seconds between two attempts while the service is down
MAX_REFUSALS = 3  # after which the final upload gives up

Signature = tuple[int, int, int]  # of a file: inode, size, nanoseconds


class Uploader:
    """Uploads files that have changed; `manifest.json` last, after all others.

    A thread looks for changes every `every` seconds. A failed upload is retried in the next round.
    """

    def __init__(
        self,
        folder: Path,
        remote: RemoteFolder,
        every: float,
        prepare: Callable[[RemoteFolder], Iterable[str]] = lambda remote: (),
    ) -> None:
        """`prepare` is given the folder in the bucket before anything is written to it, and
        returns the paths of the objects to delete there.
        """
        self._folder, self.remote, self._every, self._prepare = folder, remote, every, prepare
        self._lease = Lease(remote)
        self._connected = False
        self._sent: dict[str, Signature] = {}
        self._written: dict[str, float] = {}  # time of the last attempt to write an object
        self._failed: set[str] = set()  # paths whose last upload did not succeed
        self.error: Exception | None = None  # of the last round; None if it went well
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._round = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, "upload")
        self.fault: Exception | None = None  # an error after which uploads can no longer succeed

    def connect(self) -> None:
        """Lists the folder in the bucket, prepares it, and leases it for this run.

        Raises:
            StorageError, Taken, or what `prepare` raises.
        """
        self.remote.list()
        obsolete = list(self._prepare(self.remote))
        self._lease.take()
        self.remote.check_rights()
        for path in sorted(
            obsolete, key=lambda path: path != MANIFEST
        ):  # first: without it the run is incomplete
            self.remote.delete(path)
        self._connected = True

    def start(self) -> None:
        self._thread = _thread(self._work, "uploads")

    def flush(self, deadline: float) -> list[str]:
        """Stops the thread and uploads what is missing, for at most `deadline` seconds.

        Returns the paths that are still missing. The manifest is uploaded after everything else.
        """
        until = time.monotonic() + deadline
        self._stop.set()
        # In a thread, because a request may hang for longer than the deadline.
        last = _thread(partial(self._flush, until), "flush")
        last.join(min(max(deadline, 1.0), threading.TIMEOUT_MAX))
        return self._missing()

    def close(self) -> None:
        """Releases the folder in the bucket, if that is possible at once."""
        self._stop.set()
        works = self._connected and self.fault is None and self.error is None
        if works and self._round.acquire(timeout=1):
            self._lease.release()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _work(self) -> None:
        due = time.monotonic()
        while True:
            with self._round:
                if self._stop.is_set() or self.fault is not None:
                    return
                upload = time.monotonic() >= due
                if upload:
                    due = time.monotonic() + self._every
                self._try(upload=upload)
            if self._stop.wait(min(max(self._every, 0.05), HEARTBEAT)):
                return

    def _flush(self, until: float) -> None:
        with self._round:
            self._try_until(until)

    def _try_until(self, until: float) -> None:
        pause, refusals = 1.0, 0
        while self.fault is None:
            error = self._try(upload=True)
            missing = self._missing()
            if missing == [MANIFEST]:
                error = self._try(upload=True, manifest=True)
                missing = self._missing()
            if not missing:
                break
            refusals += isinstance(error, Refused)
            left = until - time.monotonic()
            if left <= 0 or refusals >= MAX_REFUSALS:
                break
            time.sleep(min(left, pause if error else 0.1))
            pause = min(2 * pause, LONGEST_PAUSE) if error else 1.0

    def _try(self, *, upload: bool, manifest: bool = False) -> Exception | None:
        """One round. Returns the last error, which is logged when it is the first in a row."""
        error: Exception | None = None
        try:
            if not self._connected:
                self.connect()
            self._lease.renew()
            if upload:
                error = self._upload(manifest)
        except StorageError as caught:
            error = caught
        except Exception as caught:  # of `prepare`, or Taken: the folder is another run's
            self.fault = error = caught
        if isinstance(error, Conflict):
            self.fault = error
        if error is None and self._failed:
            return None  # the failed files were not tried in this round
        if self.fault is None and error is not None and self.error is None:
            log.warning("%s The run continues; its files wait in %s.", error, self._folder)
        if self.error is not None and error is None:
            log.info("Uploads to %s work again.", self.remote.address)
        self.error = error
        return error

    def _upload(self, manifest: bool) -> StorageError | None:
        """Uploads changed files, several at a time; returns the last error, if any."""
        now, error = time.monotonic(), None
        under_way: set[Future[None]] = set()
        changed = list(self._changed())
        self._failed &= {path for path, _ in changed}
        for path, signature in changed:
            early = now - self._written.get(path, -BETWEEN_WRITES) < BETWEEN_WRITES
            if (path == MANIFEST) == manifest and not early:
                under_way.add(self._pool.submit(self._send, path, signature))
        while under_way:
            done, under_way = wait(under_way, HEARTBEAT, FIRST_COMPLETED)
            for future in done:
                try:
                    future.result()
                except StorageError as caught:
                    error = error if isinstance(error, Conflict) else caught
            with contextlib.suppress(StorageError):  # the next round fails too, and reports it
                self._lease.renew()
        return error

    def _send(self, path: str, signature: Signature) -> None:
        with contextlib.suppress(FileNotFoundError), (self._folder / path).open("rb") as file:
            # A growing file is uploaded up to its size at this point.
            size = os.fstat(file.fileno()).st_size
            self._written[path] = time.monotonic()
            self._failed.add(path)
            try:
                self.remote.write(path, file, size)
            finally:
                self._written[path] = time.monotonic()
            self._failed.discard(path)
            self._sent[path] = signature

    def _missing(self) -> list[str]:
        """Paths of files that differ from their objects in the bucket; the manifest last."""
        paths = [path for path, _ in self._changed()]
        return sorted(paths, key=lambda path: (path == MANIFEST, path))

    def _changed(self) -> Iterator[tuple[str, Signature]]:
        for path, signature in files(self._folder):
            if self._sent.get(path) != signature:
                yield path, signature


def files(folder: Path) -> Iterator[tuple[str, Signature]]:
    """Paths and signatures of all files, except those that are still being written."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            path = Path(parent, name)
            with contextlib.suppress(FileNotFoundError):  # it was replaced meanwhile
                found = path.stat()
                signature = found.st_ino, found.st_size, found.st_mtime_ns
                yield path.relative_to(folder).as_posix(), signature


def _thread(work: Callable[[], None], name: str) -> threading.Thread:
    """Starts a thread that logs to the log of the run that starts it."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name=name, daemon=True)
    thread.start()
    return thread
