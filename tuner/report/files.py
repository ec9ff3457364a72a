"""The files of a job dir, in a folder or in a bucket."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from trainer.storage import files
from trainer.storage.address import Address, locate
from trainer.storage.gcs import RemoteFolder

_DEPTH = 3  # test-2/winner/metrics.jsonl
_TRANSFERS = 8  # at a time


class Files(Protocol):
    """A job dir; paths in it are written with slashes."""

    where: str
    names: frozenset[str]  # of files, and of folders directly inside, which end in a slash

    def read(self, name: str, limit: int = files.SMALL) -> bytes | None:
        """The content; None if the file does not exist or cannot be read."""

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]: ...


class Folder:
    """A folder on this machine. Links that lead out of it are not followed."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if it cannot be read."""
        self.where, self._path = str(path), path
        with os.scandir(path) as inside:
            found = {f"{entry.name}/" for entry in inside if entry.is_dir()}
        for parent, folders, names in os.walk(path):
            relative = Path(parent).relative_to(path)
            if len(relative.parts) == _DEPTH - 1:
                folders.clear()
            found |= {(relative / name).as_posix() for name in names}
        self.names = frozenset(found)

    def read(self, name: str, limit: int = files.SMALL) -> bytes | None:
        if name not in self.names:
            return None
        try:
            return files.read(self._path / name, limit, inside=self._path)
        except OSError:
            return None

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        found = {name: self.read(name) for name in names}
        return {name: content for name, content in found.items() if content is not None}


class Bucket:
    """A folder in Google Cloud Storage."""

    def __init__(self, address: Address) -> None:
        """Lists it. Raises StorageError."""
        self.where, self._remote = str(address), RemoteFolder(address)
        self._remote.list()
        listed = self._remote.objects
        names = {name for name in listed if name.count("/") < _DEPTH and not name.endswith("/")}
        folders = {f"{name.split('/')[0]}/" for name in listed if "/" in name}
        self.names = frozenset(names | folders)

    def read(self, name: str, limit: int = files.SMALL) -> bytes | None:
        listed = self._remote.objects.get(name)
        if listed is None or listed.sum.size > limit:
            return None
        return self._remote.read_latest(name)  # a run may have replaced it since

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        wanted = [name for name in names if name in self.names]
        with ThreadPoolExecutor(_TRANSFERS) as pool:
            found = zip(wanted, pool.map(self.read, wanted), strict=True)
            return {name: content for name, content in found if content is not None}


def open_files(where: str) -> Files:
    """Raises BadAddress, and what Folder and Bucket raise."""
    location = locate(where)
    return Bucket(location) if isinstance(location, Address) else Folder(location)


if TYPE_CHECKING:
    _kinds: list[type[Files]] = [Folder, Bucket]
