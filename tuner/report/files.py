"""The files of a job dir, in a folder or in a bucket."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tuner.cloud import fetch

_DEPTH = 3  # test-2/winner/metrics.jsonl
_TRANSFERS = 8  # at a time


class Files(Protocol):
    """A job dir; paths in it are written with slashes."""

    where: str
    names: frozenset[str]  # of files, and of folders right below, which end in a slash

    def read(self, name: str) -> bytes | None:
        """The content, None where there is no such file or it cannot be read."""

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]: ...


class Folder:
    """A folder on this machine."""

    def __init__(self, path: Path) -> None:
        """Raises OSError where it cannot be read."""
        self.where, self._path = str(path), path
        found = set()
        with os.scandir(path) as inside:
            found |= {f"{entry.name}/" for entry in inside if entry.is_dir()}
        for place, folders, files in os.walk(path):
            relative = Path(place).relative_to(path)
            if len(relative.parts) == _DEPTH - 1:
                folders.clear()
            found |= {(relative / file).as_posix() for file in files}
        self.names = frozenset(found)

    def read(self, name: str) -> bytes | None:
        file = self._path / name
        if name not in self.names or not file.is_file():  # a pipe would be waited for
            return None
        try:
            return file.read_bytes()
        except OSError:
            return None

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        found = {name: self.read(name) for name in names}
        return {name: content for name, content in found.items() if content is not None}


class Bucket:
    """A folder in Google Cloud Storage."""

    def __init__(self, address: str, client: Any = None) -> None:
        """Lists it.

        Raises:
            ValueError: `address` is none.
            fetch.FetchError: it cannot be listed.
        """
        bucket, prefix = fetch.parts(address)
        self.where = f"gs://{bucket}/{prefix}"
        with fetch.told(self.where):
            client = client or fetch.make_client()
            listed = [
                blob.name.removeprefix(f"{prefix}/")
                for blob in client.list_blobs(bucket, prefix=f"{prefix}/")
            ]
        files = {name for name in listed if name.count("/") < _DEPTH and not name.endswith("/")}
        folders = {f"{name.split('/')[0]}/" for name in listed if "/" in name}
        self.names = frozenset(files | folders)
        self._bucket, self._prefix = client.bucket(bucket), prefix

    def read(self, name: str) -> bytes | None:
        from google.api_core.exceptions import NotFound

        if name not in self.names:
            return None
        with fetch.told(self.where):
            try:
                content: bytes = self._bucket.blob(f"{self._prefix}/{name}").download_as_bytes()
            except NotFound:  # replaced since it was listed
                return None
        return content

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        wanted = [name for name in names if name in self.names]
        with ThreadPoolExecutor(_TRANSFERS) as pool:
            found = zip(wanted, pool.map(self.read, wanted), strict=True)
            return {name: content for name, content in found if content is not None}


def open_files(address: str) -> Files:
    """Raises what Folder and Bucket raise."""
    if address.startswith("gs://"):
        return Bucket(address)
    return Folder(Path(address).expanduser())


if TYPE_CHECKING:
    _kinds: list[type[Files]] = [Folder, Bucket]
