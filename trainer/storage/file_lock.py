"""Advisory locks on files and folders, held until the descriptor is closed or the process ends."""

from __future__ import annotations

import os
from pathlib import Path

from trainer.contract.errors import Error


class NoFileLocks(Error):
    """The platform has no file locks."""


class Taken(Error):
    """Another process works on the folder."""


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Locks an open file or folder; returns False if another process has locked it.

    Raises:
        OSError: its file system has no locks.
        NoFileLocks: the platform has none.
    """
    try:
        import fcntl
    except ImportError:
        raise NoFileLocks(
            "This platform has no file locks, so two processes could write to one folder."
            " Use Linux, macOS or the container image."
        ) from None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_folder(folder: Path) -> int | None:
    """Locks a folder until this process ends, or the descriptor is closed.

    Returns None if its file system has no locks; some network file systems have none.

    Raises:
        Taken: another process has locked it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if try_lock(descriptor):
            return descriptor
    except OSError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise Taken(f"Another run works in {folder}. Wait for it, or take another job dir.")


def is_locked(file: Path) -> bool:
    """Whether another process has it locked; False if that is unknown."""
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        return not try_lock(descriptor, shared=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
