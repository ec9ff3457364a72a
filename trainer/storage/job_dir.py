"""A run's folder: each artefact appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.contract.job_files import ARTEFACTS, MANIFEST
from trainer.storage import atomic


class JobDir:
    """A folder that one run writes to."""

    def __init__(self, path: str | Path, places: Mapping[str, str] | None = None) -> None:
        """Makes the folder. Raises OSError where it cannot be made or written to.

        Args:
            places: paths in the folder, of those artefacts that do not lie under their own name.
        """
        self.path = Path(path).expanduser()
        self.places = dict(places or {})
        self.path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.path):
            pass

    def at(self, name: str) -> Path:
        """Where an artefact lies."""
        return self.path / self.places.get(name, name)

    def write(self, name: str, save: Callable[[Path], Any]) -> Path:
        """`save` fills a file or folder under a temporary name; then it gets its own."""
        target = self.at(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(target, save)
        return target

    def write_text(self, name: str, text: str) -> Path:
        return self.write(name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        return self.write_text(name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def clear(self, keep: Sequence[str] = ()) -> None:
        """Removes what a run leaves, also one that was killed, and no other files."""
        for name in ARTEFACTS:
            if name not in keep:
                atomic.remove(self.at(name))
            atomic.remove_leftovers(self.at(name))

    def holds_a_run(self) -> bool:
        return any(self.at(name).exists() for name in ARTEFACTS)

    def files(self) -> list[dict[str, Any]]:
        """Name, size in bytes and SHA-256 of every artefact but the manifest, by name."""
        found = []
        for name in sorted(set(ARTEFACTS) - {MANIFEST}):
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
