"""Keeps a copy of a study in a bucket: uploads the study's files, downloads those of its trials."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from optuna.exceptions import StorageInternalError

from trainer.contract.errors import Error
from trainer.contract.job_files import MANIFEST, METRICS, SETTINGS, json_object
from trainer.contract.run_record import Scores, number
from trainer.storage import atomic, lease
from trainer.storage.gcs import RemoteFolder, Unreachable
from trainer.storage.run_files import read_scores
from tuner.execution.trial_command import Task
from tuner.search import journal

SCORE = "mean_score"  # the metric's name in the trainer's records
_SEEN = ".bucket.json"  # the generations of the objects that the local files are copies of
OWNER = "tuner.json"
_UPLOAD_PATIENCE = 120.0  # seconds to retry an upload that the study must wait for


class SyncError(Error):
    """The study in the bucket conflicts with the one in the local folder."""


class RemoteStudy:
    """A study's folder with a copy in a bucket. The caller holds the folder's lock."""

    def __init__(
        self,
        remote: RemoteFolder,
        local: Path,
        files: tuple[str, ...],
        notify: Callable[[str], None],
    ) -> None:
        self._remote, self._local, self._files, self._notify = remote, local, files, notify
        self._lease = lease.Lease(
            remote, OWNER, who="tuner", folder=local, patience=lease.HEARTBEAT
        )
        self._there: dict[str, bytes] = {}  # the bucket's content, as far as it is known
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._fatal: Error | None = None
        self._notes: list[str] = []  # messages of the thread
        self._thread = threading.Thread(target=self._keep, daemon=True)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Claims the study, downloads its files, and uploads changes from then on.

        Raises:
            Error: another tuner has it, or the bucket refuses or does not answer.
        """
        self._remote.list()
        self._lease.take()
        self._remote.check_rights()
        self._download()
        self._thread.start()
        try:
            yield
        except Unreachable as error:  # tried for long enough
            self._stop()
            raise self._kept(error) from error
        except BaseException as ended:
            try:
                self._end()
            except Error as error:
                if error is not ended:
                    self._notify(f"{error} All files are in {self._local}.")
            raise
        try:
            self._end()
        except Error as error:
            raise self._kept(error) from error

    def check(self) -> None:
        """Prints the thread's messages. Raises Error if the thread failed."""
        while self._notes:
            self._notify(self._notes.pop(0))
        if self._fatal is not None:
            raise self._fatal

    def push(self) -> None:
        """Uploads every file that has changed. Raises Error."""
        with self._turn:
            self._push(_UPLOAD_PATIENCE)

    def prepare(self, task: Task, metric_file: Path, tag: str) -> None:
        """Call before a trial starts: uploads the study, and restores the trial's earlier reports.

        A trial that ended on another machine is not trained again, so it does not report again.
        """
        self.push()
        if not metric_file.exists():
            found = self._read(task.job_dir, METRICS)
            if found is not None:
                task.job_dir.mkdir(parents=True, exist_ok=True)
                atomic.write_bytes(metric_file, as_reports(found, tag, task.trial))

    def read_scores(self, job_dir: Path, reported: float | None) -> Scores:
        """A finished trial's scores, after downloading its settings, metrics and manifest."""
        for name in (SETTINGS, METRICS, MANIFEST):
            found = self._read(job_dir, name)
            if found is not None:
                atomic.write_bytes(job_dir / name, found)
        return read_scores(job_dir, reported)

    def _push(self, patience: float) -> None:
        for name in self._files:
            content = _content(self._local / name)
            if content is None:
                continue
            if self._there.get(name) == content:
                continue
            if _is_journal(name) and not self._continues(name, content):
                raise SyncError(
                    f"{self._local / name} does not continue the study in {self._remote.address}."
                    f" Remove {self._local} to continue from the bucket."
                )
            self._remote.write_bytes(name, content, patience=patience)
            self._there[name] = content
            self._remember()

    def _continues(self, name: str, content: bytes) -> bool:
        """Whether the content continues the bucket's; a journal is replaced by no other."""
        if name in self._there:
            return content.startswith(self._there[name])
        try:
            journal.read(content)
        except StorageInternalError:
            return False
        return True

    def _read(self, job_dir: Path, name: str) -> bytes | None:
        return self._remote.read_latest(f"{job_dir.relative_to(self._local).as_posix()}/{name}")

    def _download(self) -> None:
        """Downloads files that other machines have changed since the last synchronisation."""
        seen = self._seen()
        for name in self._files:
            found = self._remote.objects.get(name)
            there = found and found.generation
            if there is None:
                if name in seen:
                    raise SyncError(
                        f"{name} was deleted from {self._remote.address}. Remove {self._local} to"
                        " start again."
                    )
            elif seen.get(name) != there or _is_journal(name):
                content = self._remote.read(name)
                self._there[name] = content
                if seen.get(name) != there:
                    atomic.write_bytes(self._local / name, content)
        self._remember()

    def _seen(self) -> dict[str, int]:
        try:
            return dict(json.loads((self._local / _SEEN).read_bytes()))
        except (OSError, ValueError, TypeError):
            return {}

    def _remember(self) -> None:
        known = {
            name: found.generation
            for name, found in self._remote.objects.items()
            if name in self._files
        }
        atomic.write_bytes(self._local / _SEEN, json.dumps(known).encode())

    def _keep(self) -> None:
        """The thread: renews the lease and uploads changed files."""
        silent = False
        while not self._over.wait(lease.HEARTBEAT):
            try:
                # Before any upload, whose retries may take longer than the lease lasts.
                self._lease.renew()
                if self._turn.acquire(blocking=False):
                    try:
                        self._push(lease.HEARTBEAT)
                    finally:
                        self._turn.release()
            except Unreachable as error:
                if not silent:
                    self._notes.append(
                        f"{error} The study continues; its files are uploaded later."
                    )
                silent = True
            except (Error, OSError) as error:
                self._fatal = error if isinstance(error, Error) else SyncError(str(error))
                return
            else:
                if silent:
                    self._notes.append(f"The study's files are in {self._remote.address} again.")
                silent = False

    def _kept(self, error: Error) -> SyncError:
        return SyncError(
            f"{error} All files are in {self._local}; the same command continues the study."
        )

    def _stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _end(self) -> None:
        """Uploads the last changes and releases the lease."""
        self._stop()
        self.check()
        self.push()
        self._lease.release()


def as_reports(metrics: bytes, tag: str, trial: int) -> bytes:
    """Rebuilds a trial's metric file from the trainer's record of its scores."""
    lines, last = [], -1
    for text in io.BytesIO(metrics):
        found = json_object(text) or {}
        score, step = number(found.get(SCORE)), number(found.get("step"))
        if score is not None and step is not None:
            last = max(int(step), last + 1)  # services require increasing steps
            report = {"global_step": str(last), tag: str(score), "trial": str(trial)}
            lines.append(json.dumps(report) + "\n")
    return "".join(lines).encode()


def _content(path: Path) -> bytes | None:
    """A file's content, of a journal the complete lines; None if it is not a regular file."""
    if not path.is_file():
        return None
    content = path.read_bytes()
    return atomic.whole_lines(content) if _is_journal(path.name) else content


def _is_journal(name: str) -> bool:
    return name.endswith(".journal")
