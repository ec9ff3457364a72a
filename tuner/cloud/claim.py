"""One tuner at a time on a study in a bucket: an object that only its owner keeps rewriting.

Whoever sees that object stand still takes the study over. Only generations are compared and our
own monotonic clock asked, never another machine's.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from pathlib import Path
from typing import Any

from tuner.execution.bucket import BucketError, Conflict, Folder

OWNER = "tuner.json"
HEARTBEAT = 5.0  # seconds between two signs of life
DEAD_AFTER = 2.5 * HEARTBEAT  # without a sign of life for as long an owner is dead


class Taken(BucketError):
    """Another tuner has the study; the message is a sentence for the user."""


class Claim:
    """A tuner's claim to a study in a bucket. It holds the lock of the folder it works in."""

    def __init__(self, remote: Folder, folder: Path) -> None:
        self._remote = remote
        self._record = {"tuner": uuid.uuid4().hex, "folder": _identity(folder)}
        self._beats = 0

    def take(self) -> None:
        """Claims the study, from an owner that has died too; `remote` must have been listed.

        Raises:
            Taken: its owner is alive, or somebody else was quicker.
            BucketError: see Folder.
        """
        before = self._remote.generations.get(OWNER)
        if before is not None and not self._was_in_this_folder():
            until = time.monotonic() + DEAD_AFTER
            while time.monotonic() < until:
                time.sleep(min(0.5, DEAD_AFTER / 10))
                self._remote.list()
                now = self._remote.generations.get(OWNER)
                if now is None:
                    break
                if now != before:
                    raise self._taken()
        self.renew(patience=10 * HEARTBEAT)

    def renew(self, patience: float = HEARTBEAT) -> None:
        """A sign of life. Raises Taken where somebody thought that we were dead."""
        self._beats += 1
        content = json.dumps({**self._record, "beat": self._beats}).encode()
        try:
            self._remote.write(OWNER, content, patience)
        except Conflict as error:
            raise self._taken() from error

    def release(self) -> None:
        """Gives the study back; where that fails, whoever comes next waits for a while."""
        with contextlib.suppress(BucketError):
            self._remote.delete(OWNER)

    def _was_in_this_folder(self) -> bool:
        """Whether the owner worked in the folder whose lock is ours now: then it has died."""
        try:
            theirs = json.loads(self._remote.read(OWNER) or b"")["folder"]
            return bool(theirs["boot"]) and theirs == self._record["folder"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return False

    def _taken(self) -> Taken:
        return Taken(
            f"{self._remote.address} must have one tuner at a time, but another works there. Wait"
            " for it, or take another job dir."
        )


def _identity(folder: Path) -> dict[str, Any]:
    """What tells a folder from those of other machines, and of other containers of this one."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    facts = folder.stat()
    return {"boot": boot, "device": facts.st_dev, "inode": facts.st_ino}
