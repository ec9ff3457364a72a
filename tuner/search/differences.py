"""Describes the differences between two JSON objects, such as the settings of two studies."""

from __future__ import annotations

import json
from typing import Any

from trainer.contract.text import shown


def differences(theirs: Any, ours: Any, name: str = "") -> list[str]:
    """What differs between two JSON objects: `goal MINIMIZE (now MAXIMIZE)`."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            found
            for key in sorted(theirs.keys() | ours.keys())
            for found in differences(theirs.get(key), ours.get(key), f"{name} {key}".strip())
        ]
    if theirs == ours:
        return []
    if isinstance(theirs, str) and isinstance(ours, str):
        theirs, ours = _apart(theirs.split(), ours.split())
    was, now = (
        "none" if found is None else shown(json.dumps(found).strip('"')) for found in (theirs, ours)
    )
    return [f"{name} {was} (now {now})"]


def _apart(theirs: list[str], ours: list[str]) -> tuple[str | None, str | None]:
    """Two commands without their common first and last words."""
    for at in (0, -1):
        while theirs and ours and theirs[at] == ours[at]:
            del theirs[at], ours[at]
    return " ".join(theirs) or None, " ".join(ours) or None
