"""The job dir: every file appears whole or not at all, and `manifest.json` says which run it is."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
SETTINGS = "hyperparameters.json"
METRICS = "metrics.jsonl"
MODEL = "model.keras"
SAVED_MODEL = "saved_model"
POLICY = "policy.json"
RECORDING = "recording.mp4"
EVENTS = "events.out.tfevents.trainer"
CHECKPOINT = "checkpoint"
ARTEFACTS = (
    *(MANIFEST, SETTINGS, METRICS, MODEL, SAVED_MODEL, POLICY),
    *(RECORDING, EVENTS, CHECKPOINT),
)

_TEMPORARY = re.compile(rf"\.[0-9a-f]{{8}}-({'|'.join(map(re.escape, ARTEFACTS))})")


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
        temporary, old = (self.path / f".{uuid.uuid4().hex[:8]}-{name}" for _ in range(2))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            save(temporary)
            if target.is_dir():  # a folder cannot be replaced, only moved out of the way
                target.rename(old)
            temporary.replace(target)
        except BaseException:
            if old.exists() and not target.exists():
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

    def clear(self, keep: Sequence[str] = ()) -> None:
        """Removes what a run leaves, killed ones included, and nothing else that may lie here."""
        for name in ARTEFACTS:
            if name not in keep:
                remove(self.at(name))
        for path in self.path.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                remove(path)

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


def remove(path: Path) -> None:
    """Removes a file or a folder if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def json_object(content: bytes | None) -> dict[str, Any] | None:
    """The JSON object in these bytes; None where they hold none."""
    try:
        found = json.loads(content or b"")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def listed(manifest: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    """Sizes and SHA-256 sums by path, of the files that a manifest lists.

    Raises:
        ValueError: it lists no files, or one outside the job dir; the message is a sentence.
    """
    found = {}
    try:
        for file in manifest["files"]:
            name, size, sha256 = str(file["name"]), int(file["size"]), str(file["sha256"])
            found[name] = (size, sha256)
    except (KeyError, TypeError, ValueError, OverflowError) as error:  # an Infinity has no int
        raise ValueError(f"{MANIFEST} must list files with name, size and sha256.") from error
    for name in found:
        if not is_inside(name):
            raise ValueError(
                f"{MANIFEST} must list files inside the job dir only, but lists {name!r}."
            )
    return found


def is_inside(path: str) -> bool:
    """Whether a relative path stays in its folder on every system."""
    return bool(path) and not (
        {"", ".", ".."} & set(path.split("/")) or "\\" in path or ":" in path or "\0" in path
    )
