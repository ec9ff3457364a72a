"""A folder's one process: no second one starts there, not even after the tuner was killed.

The child inherits a lock on a file with its number. Whoever finds the lock taken knows that the
number is still that process', and nobody else's.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

GRACE = 12.0  # seconds from SIGTERM to SIGKILL; the trainer saves and ends within ten
_PAUSE = 0.05


class StillRunning(Exception):
    """A process that cannot be ended holds the folder; the message is a sentence."""


def lock(path: Path) -> int:
    """An open, locked file for the child to inherit. Ends a process that was left behind."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _locked(file):
            _end(file, path)
        os.ftruncate(file, 0)
    except BaseException:
        os.close(file)
        raise
    return file


def name_holder(file: int, process: int) -> None:
    """Writes down who has inherited the lock."""
    os.pwrite(file, str(process).encode(), 0)


def signal_group(process: int, number: int) -> None:
    """Signals a process and what it has started; it leads a group of its own."""
    try:
        os.killpg(process, number)
    except (ProcessLookupError, PermissionError):
        return


def _end(file: int, path: Path) -> None:
    found = os.pread(file, 20, 0)
    if not found.isdigit():
        raise StillRunning(
            f"{path.parent} must not be in use, but an unknown process holds {path.name}. End it."
        )
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 2.0)):
        signal_group(int(found), number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if _locked(file):
                return
            time.sleep(_PAUSE)
    raise StillRunning(f"{path.parent} must not be in use, but process {int(found)} does not end.")


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
