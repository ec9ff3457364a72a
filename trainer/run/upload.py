"""Copies a run's folder to a bucket while the run goes on, and never holds it up."""

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

THREADS = 10  # as many as the client keeps connections
BETWEEN_WRITES = 1.05  # seconds; the service takes one write a second of an object
LONGEST_PAUSE = HEARTBEAT  # seconds between two tries of a service that is down
ENOUGH = 3  # times that a service may say no before the last upload believes it

Signature = tuple[int, int, int]  # of a file: inode, size, nanoseconds


class Mirror:
    """Objects follow the files of a folder; `manifest.json` goes last, when all others are there.

    A thread of its own looks every `every` seconds. What fails is tried again the next time.
    """

    def __init__(
        self,
        folder: Path,
        remote: RemoteFolder,
        every: float,
        prepare: Callable[[RemoteFolder], Iterable[str]] = lambda remote: (),
    ) -> None:
        """`prepare` sees the folder in the bucket as it was found, before anything is written to
        it; it says which objects there must go.
        """
        self._folder, self.remote, self._every, self._prepare = folder, remote, every, prepare
        self._lease = Lease(remote)
        self._connected = False
        self._sent: dict[str, Signature] = {}
        self._written: dict[str, float] = {}  # when an object was last written to, or tried to
        self._failed: set[str] = set()  # paths whose last upload did not succeed
        self.error: Exception | None = None  # what went wrong in the last round
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._round = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, "upload")
        self.fault: Exception | None = None  # why no upload will ever succeed

    def connect(self) -> None:
        """Looks at what is there, prepares it, and claims it.

        Raises:
            StorageError, Taken, or what `prepare` raises.
        """
        self.remote.list()
        obsolete = list(self._prepare(self.remote))
        self._lease.take()
        self.remote.check_rights()
        for path in sorted(obsolete, key=lambda path: path != MANIFEST):  # complete no more
            self.remote.delete(path)
        self._connected = True

    def start(self) -> None:
        self._thread = _thread(self._work, "mirror")

    def flush(self, deadline: float) -> list[str]:
        """Ends the thread, uploads what is missing for at most `deadline` seconds, and returns
        the paths that are missing still.

        The manifest goes after all else is there.
        """
        until = time.monotonic() + deadline
        self._stop.set()
        # In a thread, for a request that hangs may do so for longer than the deadline.
        last = _thread(partial(self._flush, until), "flush")
        last.join(min(max(deadline, 1.0), threading.TIMEOUT_MAX))
        return self._missing()

    def close(self) -> None:
        """Gives the folder in the bucket back, if it can be done at once."""
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
            if left <= 0 or refusals >= ENOUGH:
                break
            time.sleep(min(left, pause if error else 0.1))
            pause = min(2 * pause, LONGEST_PAUSE) if error else 1.0

    def _try(self, *, upload: bool, manifest: bool = False) -> Exception | None:
        """One round. The last thing that went wrong is logged once, and returned."""
        error: Exception | None = None
        try:
            if not self._connected:
                self.connect()
            self._lease.renew()
            if upload:
                error = self._upload(manifest)
        except StorageError as caught:
            error = caught
        except Exception as caught:  # what `prepare` raises, and Taken: it is not ours to write to
            self.fault = error = caught
        if isinstance(error, Conflict):
            self.fault = error
        if error is None and self._failed:
            return None  # nothing went wrong, for nothing was tried that had
        if self.fault is None and error is not None and self.error is None:
            log.warning("%s The run goes on; its files wait in %s.", error, self._folder)
        if self.error is not None and error is None:
            log.info("Uploads to %s work again.", self.remote.address)
        self.error = error
        return error

    def _upload(self, manifest: bool) -> StorageError | None:
        """Uploads what has changed, several files at a time; the last error, if any."""
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
            with contextlib.suppress(StorageError):  # the next round tells
                self._lease.renew()
        return error

    def _send(self, path: str, signature: Signature) -> None:
        with contextlib.suppress(FileNotFoundError), (self._folder / path).open("rb") as file:
            # A file that grows goes as far as it had grown here.
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
        """Paths of files that are not in the bucket as they are here; the manifest last."""
        paths = [path for path, _ in self._changed()]
        return sorted(paths, key=lambda path: (path == MANIFEST, path))

    def _changed(self) -> Iterator[tuple[str, Signature]]:
        for path, signature in files(self._folder):
            if self._sent.get(path) != signature:
                yield path, signature


def files(folder: Path) -> Iterator[tuple[str, Signature]]:
    """Paths and signatures of all files but those that are still being written."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            path = Path(parent, name)
            with contextlib.suppress(FileNotFoundError):  # replaced meanwhile
                found = path.stat()
                signature = found.st_ino, found.st_size, found.st_mtime_ns
                yield path.relative_to(folder).as_posix(), signature


def _thread(work: Callable[[], None], name: str) -> threading.Thread:
    """Started; what it says is said by the run that starts it."""
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(work,), name=name, daemon=True)
    thread.start()
    return thread
