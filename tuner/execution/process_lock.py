"""Allows one process a folder, also after the tuner was killed.

The child inherits a lock on a file that holds its number. As long as the lock is taken, the number
is still that of the child, and not of another process.
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
    """A process that cannot be ended holds the folder."""


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
    """Writes the number of the process that inherited the lock, and the machine it counts on."""
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
        raise StillRunning(f"A process on another machine holds {path}. End it there.")
    if not found.isdigit():
        raise StillRunning(f"An unknown process holds {path}. End it.")
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 2.0)):
        signal_group(int(found), number)
        if _waited(file, patience):
            return
    raise StillRunning(f"Process {int(found)} holds {path} and does not end. End it.")


def _waited(file: int, patience: float) -> bool:
    """Waits for the lock; whether it was released, and is ours."""
    deadline = time.monotonic() + patience
    while not try_lock(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _here() -> str:
    """This boot of this machine, and this container: process numbers are the same within."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}-{os.readlink('/proc/self/ns/pid')}"
    except OSError:  # another system
        return socket.gethostname()
