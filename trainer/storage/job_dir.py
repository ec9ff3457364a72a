"""A run's folder; every artefact is written atomically."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.contract.job_files import (
    MANIFEST,
    POSSIBLE_ARTEFACTS,
    SETTINGS,
    is_inside,
    json_object,
)
from trainer.storage import atomic, files
from trainer.storage.address import Address, locate
from trainer.storage.gcs import RemoteFolder


class JobDir:
    """A folder that one run writes to."""

    def __init__(self, path: str | Path, places: Mapping[str, str] | None = None) -> None:
        """Makes the folder. Raises OSError if it cannot be made or written to.

        Args:
            places: paths in the folder, of those artefacts that do not lie under their own name.
        """
        self.path = Path(path).expanduser()
        self.places = dict(places or {})
        self.path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.path):
            pass

    def at(self, name: str) -> Path:
        """The path of an artefact."""
        return self.path / self.places.get(name, name)

    def write(self, name: str, save: Callable[[Path], Any]) -> Path:
        """Has `save` fill a file or folder under a temporary name, then renames it."""
        target = self.at(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(target, save)
        return target

    def write_text(self, name: str, text: str) -> Path:
        return self.write(name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        return self.write_text(name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def clear(self, keep: Sequence[str] = ()) -> None:
        """Removes the files of a run, and temporary ones, but no others."""
        for name in POSSIBLE_ARTEFACTS:
            if name not in keep:
                atomic.remove(self.at(name))
            atomic.remove_leftovers(self.at(name))

    def holds_a_run(self) -> bool:
        return any(self.at(name).exists() for name in POSSIBLE_ARTEFACTS)

    def files(self) -> list[dict[str, Any]]:
        """Name, size in bytes and SHA-256 of every artefact but the manifest, by name."""
        found = []
        for name in sorted(set(POSSIBLE_ARTEFACTS) - {MANIFEST}):
            path = self.at(name)
            inside = sorted(path.rglob("*")) if path.is_dir() else [path]
            for file in inside:
                if file.is_file():
                    content = file.read_bytes()
                    found.append(
                        {
                            "name": file.relative_to(self.path).as_posix(),
                            "size": len(content),
                            "sha256": hashlib.sha256(content).hexdigest(),
                        }
                    )
        return found


def read_artefacts(where: str, *names: str) -> list[bytes | None]:
    """Artefacts of the run in a folder or a bucket; None for those that are missing or not files.

    Raises:
        BadAddress: `where` is neither.
        StorageError: the bucket cannot be read.
    """
    place = locate(where)
    read = _in_bucket(place) if isinstance(place, Address) else _in_folder(place)
    places = (json_object(read(SETTINGS, files.SMALL)) or {}).get("places")
    paths = [places.get(name) if isinstance(places, dict) else None for name in names]
    return [
        read(path if isinstance(path, str) and is_inside(path) else name, files.LARGE)
        for name, path in zip(names, paths, strict=True)
    ]


def _in_bucket(address: Address) -> Callable[[str, int], bytes | None]:
    remote = RemoteFolder(address)
    remote.list()

    def read(path: str, limit: int) -> bytes | None:
        found = remote.objects.get(path)
        return remote.read(path) if found and found.sum.size <= limit else None

    return read


def _in_folder(folder: Path) -> Callable[[str, int], bytes | None]:
    def read(path: str, limit: int) -> bytes | None:
        try:
            return files.read(folder / path, limit)
        except OSError:
            return None

    return read
