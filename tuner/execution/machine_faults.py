"""Tells faults of the machine (a lock, no room, memory, network) from those of a trial itself.

The trainer exits with 1 for both, as tuning services expect, so its last lines decide.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Sequence

LOCKED = "another process works in its folder"
NO_ROOM = "no room on the disk"
NO_MEMORY = "not enough memory"
NO_NETWORK = "the bucket does not answer"
BAD_DISK = "the disk does not work"
KILLED = "it was killed from outside"
NODE_LOST = "its machine was lost too often"

_SIGNS = {
    LOCKED: ("Another run works in",),
    NO_ROOM: tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))),
    NO_MEMORY: (os.strerror(errno.ENOMEM), "MemoryError", "ResourceExhaustedError", "bad_alloc"),
    NO_NETWORK: ("could not be uploaded to", "cannot be reached", "does not answer"),
    BAD_DISK: tuple(map(os.strerror, (errno.EIO, errno.EROFS, errno.ESTALE, errno.EMFILE))),
}
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGBUS)


def find(exit_code: int, last_lines: Sequence[str]) -> str:
    """The machine fault that ended a trial which was not asked to stop, or ""."""
    for fault, signs in _SIGNS.items():
        if exit_code and any(sign in line for line in last_lines for sign in signs):
            return fault
    # Shells and the trainer exit with 128 + n if signal n ended them.
    if -exit_code in _SIGNALS or exit_code - 128 in _SIGNALS:
        return KILLED
    return ""
