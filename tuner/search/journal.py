"""Stores a study in one file, in Optuna's journal format: each change is a line of JSON.

Optuna and its dashboard read the file. Optuna's own writer leaves a lock behind if it is killed,
and fails on a truncated last line. Here the writer holds the job dir's lock, ignores a truncated
last line, and never appends to a file that is no journal.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from trainer.storage import atomic

_BEGINNING = b'{"op_code":'  # of each line
_OPERATIONS = range(11)  # that Optuna has


def opened(path: Path) -> JournalStorage:
    """Opens a study's file, or creates it.

    Raises:
        StorageInternalError: it cannot be read, or holds something else. Nothing is changed then.
    """
    with _told():
        if not path.exists():
            path.touch()
        if not path.is_file():
            raise ValueError("it is no file")
        return JournalStorage(_File(path))


def read(content: bytes) -> JournalStorage:
    """The study in the bytes of such a file, which somebody may have been writing to.

    Raises:
        StorageInternalError: they hold something else.
    """
    with _told():
        return JournalStorage(_Copy(content))


class _File(BaseJournalBackend):
    """A change is in the file as a whole, or its writer is told that it is not."""

    def __init__(self, path: Path) -> None:
        self._path, self._seen = path, 0  # bytes

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        # The storage asks for those after the last that it was given.
        with _told(), self._path.open("rb") as file:
            file.seek(self._seen)
            lines = _lines(file.read(), begun=self._seen > 0)
            logs = _logs(lines)
            self._seen += len(lines)
            return iter(logs)

    def append_logs(self, logs: Sequence[dict[str, Any]]) -> None:
        with _told():
            size = self._end_of_lines()
            try:
                with self._path.open("ab") as file:
                    file.writelines(_line(log) for log in logs)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:  # a full disk takes a piece of a line
                with contextlib.suppress(OSError):
                    os.truncate(self._path, size)
                raise

    def _end_of_lines(self) -> int:
        """Its size, without what somebody could not finish, which goes."""
        size = self._path.stat().st_size
        if size < self._seen:
            raise ValueError("it has become shorter")
        with self._path.open("rb") as file:
            file.seek(self._seen)
            unseen = file.read()
        if piece := len(unseen) - len(_lines(unseen, begun=self._seen > 0)):
            os.truncate(self._path, size - piece)
        return size - piece


class _Copy(BaseJournalBackend):
    """Lines that nobody adds to."""

    def __init__(self, content: bytes) -> None:
        self._logs = _logs(_lines(content))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        return iter(self._logs[log_number_from:])

    def append_logs(self, logs: Sequence[dict[str, Any]]) -> None:
        raise StorageInternalError("a copy is not written to")


def _line(log: dict[str, Any]) -> bytes:
    return json.dumps(log, separators=(",", ":")).encode() + b"\n"


def _logs(lines: bytes) -> list[dict[str, Any]]:
    logs = [json.loads(line) for line in lines.splitlines()]
    if not all(log["op_code"] in _OPERATIONS for log in logs):
        raise ValueError("a line of it is none of a journal")
    return logs


def _lines(content: bytes, *, begun: bool = False) -> bytes:
    """The lines without a piece of one that its writer could not finish.

    Args:
        begun: whether there are lines before.

    Raises:
        ValueError: no journal ends so.
    """
    lines = atomic.whole_lines(content)
    piece = content[len(lines) :]
    # Bytes that never reached the disk are zeros.
    text = piece.rstrip(b"\0") if lines or begun else piece
    if not (text.startswith(_BEGINNING) or _BEGINNING.startswith(text)):
        raise ValueError("it does not end as a journal does")
    return lines


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Everything that a file may be up to, as one error."""
    try:
        yield
    except OSError as error:
        raise StorageInternalError(error.strerror or str(error)) from error
    except json.JSONDecodeError as error:
        raise StorageInternalError(f"a line of it is not JSON ({error})") from error
    except (KeyError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        raise StorageInternalError("a line of it is none of a journal") from error
    except ValueError as error:
        raise StorageInternalError(str(error)) from error
