"""Files that are whole or not there, whoever reads them and whenever the writing ends."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(path: Path, content: bytes) -> None:
    """Writes a file; what was there stays until all of the new one is."""
    # Workers on other machines may have the same folder, and the same process number.
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def lines(content: bytes) -> bytes:
    """Of a file that others add to: its lines without a last one that is not whole yet."""
    return content[: content.rfind(b"\n") + 1]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    write(path, f"{json.dumps(content, indent=2, allow_nan=False)}\n".encode())
