"""Keeps a folder in a bucket to one process: its owner keeps rewriting one object."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from trainer.storage.file_lock import Taken
from trainer.storage.gcs import Conflict, RemoteFolder, StorageError

OWNER = "owner.json"
HEARTBEAT = 5.0  # seconds between two renewals
DEAD_AFTER = 2.5 * HEARTBEAT  # seconds without a renewal after which an owner counts as dead

_DAMAGED = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


class Lease:
    """A process' claim to a folder in a bucket.

    An owner is alive if the object's generation changes: every renewal changes it. Only our own
    monotonic clock is used.
    """

    def __init__(
        self,
        remote: RemoteFolder,
        name: str = OWNER,
        *,
        who: str = "run",
        folder: Path | None = None,
        patience: float | None = None,
    ) -> None:
        """
        Args:
            name: of the object.
            who: what the process is, for messages.
            folder: the local folder that the process works in, if it holds that folder's lock.
            patience: seconds that a renewal is tried for; the first one for ten times as long.
        """
        self._remote, self._name, self._who, self._patience = remote, name, who, patience
        self._record = {"run": uuid.uuid4().hex, **_process(os.getpid())}
        self._folder = None if folder is None else _identity(folder)
        if self._folder:
            self._record["folder"] = self._folder
        self._held = False
        self._renewals = 0
        self._renewed = 0.0

    def take(self, dead_after: float | None = None) -> None:
        """Claims the folder, also from a dead owner; `remote` must have been listed.

        Raises:
            Taken: its owner is alive, or another process claimed it first.
            StorageError: see RemoteFolder.
        """
        wait = DEAD_AFTER if dead_after is None else dead_after
        before = self._remote.objects.get(self._name)
        if before is not None and not self._is_free():
            until = time.monotonic() + wait
            while time.monotonic() < until:
                time.sleep(min(0.5, wait / 10))
                self._remote.list()
                now = self._remote.objects.get(self._name)
                if now is None:
                    break
                if now != before:
                    raise self._taken()
        self._renew(self._patience and 10 * self._patience)

    def renew(self) -> None:
        """Renews the claim, if the last renewal is old enough.

        Raises:
            Taken: another process has claimed the folder, as if this one were dead.
            StorageError: see RemoteFolder.
        """
        if time.monotonic() - self._renewed >= HEARTBEAT:
            self._renew(self._patience)

    def release(self) -> None:
        """Releases the folder. If that fails, the next process has to wait for a while."""
        if self._held:
            with contextlib.suppress(StorageError):
                self._remote.delete(self._name)

    def _renew(self, patience: float | None) -> None:
        self._held = True  # even if no answer comes
        self._renewals += 1
        content = json.dumps({**self._record, "beat": self._renewals}, indent=2).encode()
        try:
            self._remote.write_bytes(self._name, content, patience=patience)
        except Conflict as error:
            self._held = False
            raise self._taken() from error
        self._renewed = time.monotonic()

    def _is_free(self) -> bool:
        """Whether the owner is this very process, or one that is known to be dead."""
        try:
            owner = json.loads(self._remote.read(self._name))
            if owner.get("run") == self._record["run"]:  # the answer to our first claim was lost
                return True
            if self._folder and owner.get("folder") == self._folder:  # whose file lock we hold
                return True
            process = {name: owner[name] for name in ("host", "system", "pid", "born")}
            alive = _process(int(owner["pid"]))
        except (*_DAMAGED, AttributeError):
            return False
        except Conflict:  # it was renewed just now
            return False
        system = self._record["system"]
        return system is not None and process["system"] == system and process != alive

    def _taken(self) -> Taken:
        return Taken(
            f"Another {self._who} works in {self._remote.address}. Wait for it, or take another job"
            " dir."
        )


def _process(pid: int) -> dict[str, Any]:
    """What identifies a process: on Linux its system, number and start time."""
    system = born = None
    with contextlib.suppress(OSError, IndexError):
        system = f"{_boot()} {os.readlink('/proc/self/ns/pid')}"
        # The 22nd field; the second, a name in brackets, may hold spaces.
        born = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return {"host": socket.gethostname(), "system": system, "pid": pid, "born": born}


def _identity(folder: Path) -> dict[str, Any] | None:
    """What identifies a folder among all machines, and all containers of this one."""
    try:
        boot, facts = _boot(), folder.stat()
    except OSError:
        return None
    return {"boot": boot, "device": facts.st_dev, "inode": facts.st_ino}


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
