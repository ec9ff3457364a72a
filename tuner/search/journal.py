"""Stores a study in one file, in Optuna's journal format: each change is a line of JSON.

Optuna and its dashboard can read the file. Optuna's own writer leaves a lock behind if it is
killed, and fails on a truncated last line. This writer relies on the job dir's lock, ignores a
truncated last line, and never appends to a file that is not a journal.
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
_OPERATIONS = range(11)  # Optuna's operation codes


def opened(path: Path) -> JournalStorage:
    """Opens a study's file, or creates it.

    Raises:
        StorageInternalError: it cannot be read, or is not a journal. It is not changed then.
    """
    with _storage_errors():
        if not path.exists():
            path.touch()
        if not path.is_file():
            raise ValueError("it is not a regular file")
        return JournalStorage(_File(path))


def read(content: bytes) -> JournalStorage:
    """Reads a study from the content of a file, which may end in a truncated line.

    Raises:
        StorageInternalError: the content is not a journal.
    """
    with _storage_errors():
        return JournalStorage(_Copy(content))


class _File(BaseJournalBackend):
    """The file. A change is written completely, or raises an error and leaves no trace."""

    def __init__(self, path: Path) -> None:
        self._path, self._seen = path, 0  # bytes

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        # Optuna always asks for the records after the last one it has read.
        with _storage_errors(), self._path.open("rb") as file:
            file.seek(self._seen)
            lines = _lines(file.read(), begun=self._seen > 0)
            logs = _logs(lines)
            self._seen += len(lines)
            return iter(logs)

    def append_logs(self, logs: Sequence[dict[str, Any]]) -> None:
        with _storage_errors():
            size = self._end_of_lines()
            try:
                with self._path.open("ab") as file:
                    file.writelines(_line(log) for log in logs)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:  # a full disk may have stored part of a line
                with contextlib.suppress(OSError):
                    os.truncate(self._path, size)
                raise

    def _end_of_lines(self) -> int:
        """Removes a truncated last line; returns the size."""
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
    """A read-only copy of the file's content."""

    def __init__(self, content: bytes) -> None:
        self._logs = _logs(_lines(content))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        return iter(self._logs[log_number_from:])

    def append_logs(self, logs: Sequence[dict[str, Any]]) -> None:
        raise StorageInternalError("a copy is read-only")


def _line(log: dict[str, Any]) -> bytes:
    return json.dumps(log, separators=(",", ":")).encode() + b"\n"


def _logs(lines: bytes) -> list[dict[str, Any]]:
    logs = [json.loads(line) for line in lines.splitlines()]
    if not all(log["op_code"] in _OPERATIONS for log in logs):
        raise ValueError("a line is not an Optuna journal record")
    return logs


def _lines(content: bytes, *, begun: bool = False) -> bytes:
    """The complete lines, without a truncated last one.

    Args:
        begun: whether other lines come before `content`.

    Raises:
        ValueError: the rest is not the beginning of a record.
    """
    lines = atomic.whole_lines(content)
    piece = content[len(lines) :]
    # After a crash, bytes that did not reach the disk read as zeros.
    text = piece.rstrip(b"\0") if lines or begun else piece
    if not (text.startswith(_BEGINNING) or _BEGINNING.startswith(text)):
        raise ValueError("its end is not an Optuna journal record")
    return lines


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    """Turns every error from reading or writing a file into StorageInternalError."""
    try:
        yield
    except OSError as error:
        raise StorageInternalError(error.strerror or str(error)) from error
    except json.JSONDecodeError as error:
        raise StorageInternalError(f"a line is not JSON ({error})") from error
    except (KeyError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        raise StorageInternalError("a line is not an Optuna journal record") from error
    except ValueError as error:
        raise StorageInternalError(str(error)) from error
