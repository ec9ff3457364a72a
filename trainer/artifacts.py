"""The job dir: every file appears whole or not at all, and `manifest.json` says which run it is."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
SETTINGS = "hyperparameters.json"
METRICS = "metrics.jsonl"
MODEL = "model.keras"
SAVED_MODEL = "saved_model"
RECORDING = "recording.mp4"
EVENTS = "events.out.tfevents.trainer"
ARTEFACTS = (MANIFEST, SETTINGS, METRICS, MODEL, SAVED_MODEL, RECORDING, EVENTS)


class JobDir:
    """A folder that one run writes to."""

    def __init__(self, path: str | Path) -> None:
        """Makes the folder. Raises OSError where it cannot be made or written to."""
        self.path = Path(path).expanduser()
        self.path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.path):
            pass

    def write(self, name: str, save: Callable[[Path], Any]) -> Path:
        """`save` fills a file or folder under a temporary name; then it gets its own."""
        target = self.path / name
        temporary, old = (self.path / f".{uuid.uuid4().hex[:8]}-{name}" for _ in range(2))
        try:
            save(temporary)
            if target.is_dir():  # a folder cannot be replaced, only moved out of the way
                target.rename(old)
            temporary.replace(target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
        finally:
            remove(temporary)
            remove(old)
        return target

    def write_text(self, name: str, text: str) -> Path:
        return self.write(name, lambda path: path.write_text(text, encoding="utf-8"))

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        return self.write_text(name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def clear(self) -> None:
        """Removes what a run leaves, and nothing else that may lie here."""
        for name in ARTEFACTS:
            remove(self.path / name)

    def holds_a_run(self) -> bool:
        return any((self.path / name).exists() for name in ARTEFACTS)

    def files(self) -> list[dict[str, Any]]:
        """Name, size in bytes and SHA-256 of every artefact but the manifest, by name."""
        found = []
        for name in sorted(set(ARTEFACTS) - {MANIFEST}):
            path = self.path / name
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


def remove(path: Path) -> None:
    """Removes a file or a folder if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file; None where the file cannot be read or holds no object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
