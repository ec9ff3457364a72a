"""A folder's one process: no second one starts there, not even after the tuner was killed.

The child inherits a lock on a file with its number. Whoever finds the lock taken knows that the
number is still that process', and nobody else's.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

from trainer.contract.errors import Error
from trainer.storage.file_lock import try_lock

ELSEWHERE = 600.0  # seconds for a process on another machine, that only its own tuner can end
GRACE = 12.0  # seconds from SIGTERM to SIGKILL; the trainer saves and ends within ten
_PAUSE = 0.05


class StillRunning(Error):
    """A process that cannot be ended holds the folder; the message is a sentence."""


def lock(path: Path) -> int:
    """An open, locked file for the child to inherit. Ends a process that was left behind."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not try_lock(file):
            _end(file, path)
        os.ftruncate(file, 0)
    except BaseException:
        os.close(file)
        raise
    return file


def name_holder(file: int, process: int) -> None:
    """Writes down who has inherited the lock, and where, for a number means another elsewhere."""
    os.pwrite(file, f"{process} {_here()}".encode(), 0)


def signal_group(process: int, number: int) -> None:
    """Signals a process and what it has started; it leads a group of its own."""
    try:
        os.killpg(process, number)
    except (ProcessLookupError, PermissionError):
        return


def _end(file: int, path: Path) -> None:
    found, _, where = os.pread(file, 200, 0).decode(errors="replace").partition(" ")
    if where not in ("", _here()):
        if _waited(file, ELSEWHERE):
            return
        raise StillRunning(
            f"{path.parent} must not be in use, but a process on another machine holds {path.name}."
            " End it there."
        )
    if not found.isdigit():
        raise StillRunning(
            f"{path.parent} must not be in use, but an unknown process holds {path.name}. End it."
        )
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 2.0)):
        signal_group(int(found), number)
        if _waited(file, patience):
            return
    raise StillRunning(f"{path.parent} must not be in use, but process {int(found)} does not end.")


def _waited(file: int, patience: float) -> bool:
    """Whether the lock was let go of, and is ours."""
    deadline = time.monotonic() + patience
    while not try_lock(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _here() -> str:
    """Where numbers of processes mean what they mean here: this boot, and this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}-{os.readlink('/proc/self/ns/pid')}"
    except OSError:  # another system
        return socket.gethostname()
