"""The names of the files in a job dir, and the list of them that `manifest.json` holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
EXPORTS = "exports"
ARTEFACTS = (
    *(MANIFEST, SETTINGS, METRICS, MODEL, SAVED_MODEL, POLICY),
    *(RECORDING, EVENTS, CHECKPOINT),
)
POSSIBLE_ARTEFACTS = (*ARTEFACTS, EXPORTS)  # with those that a run writes on request


def json_object(content: bytes | None) -> dict[str, Any] | None:
    """The JSON object in these bytes; None if they hold anything else."""
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
    except (KeyError, TypeError, ValueError, OverflowError) as error:  # int(Infinity) overflows
        raise ValueError(f"{MANIFEST} is damaged: no list of name, size and sha256.") from error
    for name in found:
        if not is_inside(name):
            raise ValueError(
                f"{MANIFEST} is not valid: it lists {name!r}, which is outside the job dir."
            )
    return found


def is_inside(path: str) -> bool:
    """Whether a relative path stays in its folder on every system."""
    return bool(path) and not (
        {"", ".", ".."} & set(path.split("/")) or "\\" in path or ":" in path or "\0" in path
    )
