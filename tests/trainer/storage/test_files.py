"""Files of strangers: only regular ones are read, of a bounded size, inside their folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.storage.files import read


@given(st.binary(max_size=100), st.integers(0, 100))
def test_a_file_is_read_whole_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, limit: int
) -> None:
    file = tmp_path_factory.mktemp("read") / "file"
    file.write_bytes(content)
    if len(content) <= limit:
        assert read(file, limit) == content
    else:
        with pytest.raises(OSError, match="it is larger than"):
            read(file, limit)


def test_what_is_not_a_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("pipe", "endless", "circle", ".", "missing", "no\0name", "n" * 300):
        with pytest.raises(OSError):
            read(tmp_path / name)


def test_a_link_must_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "own").write_text("own")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    (folder / "link").symlink_to(folder / "own")
    assert read(folder / "link", inside=folder) == b"own"
    assert read(folder / "out") == b"secret"
    for name in ("out", "up/secret", "../secret"):
        with pytest.raises(OSError, match="a link to a place outside"):
            read(folder / name, inside=folder)
