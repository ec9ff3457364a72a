"""One run at a time on a job dir: a lock on a folder, an owner's object in a bucket."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from trainer.storage.file_lock import Taken
from trainer.storage.gcs import Conflict, RemoteFolder

OWNER = "owner.json"
HEARTBEAT = 5.0  # seconds between two signs of life
PATIENCE = 2.5 * HEARTBEAT  # without a sign of life for as long an owner is dead


class Claim:
    """A run's claim to a folder in a bucket: an object that only its owner keeps rewriting.

    Whether an owner is alive shows in the object's generation, which moves with every sign of
    life: no clock but our own monotonic one is asked.
    """

    def __init__(self, remote: RemoteFolder) -> None:
        self._remote = remote
        self._record = {"run": uuid.uuid4().hex, **_process(os.getpid())}
        self._beats = 0
        self._last_beat = 0.0

    def take(self, patience: float = PATIENCE) -> None:
        """Claims the folder, from a dead owner too; `remote` must have been listed.

        Raises:
            Taken: its owner is alive, or somebody else was quicker.
            StorageError: see RemoteFolder.
        """
        before = self._remote.objects.get(OWNER)
        if before is not None and not self._owner_has_died():
            until = time.monotonic() + patience
            while time.monotonic() < until:
                time.sleep(min(0.5, patience / 10))
                self._remote.list()
                now = self._remote.objects.get(OWNER)
                if now is None:
                    break
                if now != before:
                    raise Taken(self._taken())
        try:
            self._beat()
        except Conflict as error:
            raise Taken(self._taken()) from error

    def renew(self) -> None:
        """A sign of life, where the last is old enough.

        Raises:
            Taken: somebody thought that this run was dead, and has taken over.
            StorageError: see RemoteFolder.
        """
        if time.monotonic() - self._last_beat < HEARTBEAT:
            return
        try:
            self._beat()
        except Conflict as error:
            raise Taken(self._taken()) from error

    def release(self) -> None:
        """Gives the folder back; whoever comes next need not wait."""
        with contextlib.suppress(Conflict):
            if OWNER in self._remote.objects:
                self._remote.delete(OWNER)

    def _beat(self) -> None:
        self._beats += 1
        content = json.dumps({**self._record, "beat": self._beats}, indent=2).encode()
        self._remote.write(OWNER, io.BytesIO(content), len(content))
        self._last_beat = time.monotonic()

    def _owner_has_died(self) -> bool:
        """Whether the owner was a process of this very system, and is no more."""
        try:
            owner = json.loads(self._remote.read(OWNER))
            pid, system = int(owner["pid"]), owner["system"]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return False
        except Conflict:  # it has given a sign of life just now
            return False
        ours = self._record
        return (
            ours["system"] is not None
            and system == ours["system"]
            and _process(pid)
            != {name: owner.get(name) for name in ("host", "system", "pid", "born")}
        )

    def _taken(self) -> str:
        return (
            f"Another run writes to {self._remote.address}. Wait for it, or take another job dir."
        )


def _process(pid: int) -> dict[str, Any]:
    """What tells a process from all others: on Linux its system, number and time of birth."""
    system = born = None
    with contextlib.suppress(OSError, IndexError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        system = f"{boot} {os.readlink('/proc/self/ns/pid')}"
        # The 22nd field; the second, a name in brackets, may hold spaces.
        born = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return {"host": socket.gethostname(), "system": system, "pid": pid, "born": born}
