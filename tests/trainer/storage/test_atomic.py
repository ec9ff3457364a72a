"""Files that are whole or not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.full_disk import files_end_after
from trainer.storage import atomic


def test_what_cannot_be_said_in_json_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "best.json"
    atomic.write_json(file, {"a": 1})
    with pytest.raises(ValueError, match="Out of range"):
        atomic.write_json(file, {"a": float("nan")})
    assert json.loads(file.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_a_disk_that_is_full_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "old"
    atomic.write_bytes(file, b"old")
    with files_end_after(2**20), pytest.raises(OSError, match="File too large"):
        atomic.write_bytes(file, bytes(2**21))
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
