"""Allows one process per folder, even if the tuner was killed.

The child inherits a lock on a file that contains its process ID. While the lock is held, the ID
still belongs to the child and not to another process.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

from trainer.contract.errors import Error
from trainer.storage.file_lock import try_lock

ELSEWHERE = 600.0  # seconds to wait for a process on another machine, which we cannot end
GRACE = 12.0  # seconds from SIGTERM to SIGKILL; the trainer saves and ends within ten
_PAUSE = 0.05


class StillRunning(Error):
    """A process that cannot be ended holds the folder."""


def lock(path: Path) -> int:
    """Opens and locks a file for the child to inherit; ends a process that still holds it."""
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
    """Writes the ID of the process that inherited the lock, and the machine that it is valid on."""
    os.pwrite(file, f"{process} {_here()}".encode(), 0)


def signal_group(process: int, number: int) -> None:
    """Signals a process and its children, which are a process group."""
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
    """Waits for the lock; returns whether we hold it."""
    deadline = time.monotonic() + patience
    while not try_lock(file):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _here() -> str:
    """Identifies this boot and PID namespace, within which process IDs are valid."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}-{os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()
