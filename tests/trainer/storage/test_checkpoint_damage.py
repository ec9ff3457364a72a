"""A checkpoint that is damaged, or is something else, is refused."""

from __future__ import annotations

import io
import json
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.checkpoints import (
    JSON,
    SMALL,
    SMALL_HEADER,
    archive,
    assert_same,
    header_of,
    npy,
    npy_of_text,
    npy_with_header,
    saved,
)
from trainer.storage.checkpoint import FORMAT, CheckpointError, read

in_one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


# Damage


@settings(deadline=None)
@given(content=st.binary(max_size=400))
@example(b"")
@example(b"PK\x05\x06" + bytes(18))
@example(pickle.dumps({"header": 1}))
@example(npy(np.zeros(3)))
@example(b"\x93NUMPY")
def test_arbitrary_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(CheckpointError, match="damaged, or not a checkpoint"):
        read(content)


@settings(deadline=None)
@given(
    member=st.binary(max_size=200),
    header=st.text(max_size=80),
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
)
@example(member=b"hello", header="", name="agents.weights.npy")
@example(member=b"hello", header="", name="agents.weights")
@example(member=b"", header="{'descr': (", name="x.npy")
@example(member=b"", header="'''", name="x.npy")
@example(member=b"", header="(" * 80, name="x.npy")
@example(
    member=b"",
    header="{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999,), }",
    name="x.npy",
)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_arbitrary_members_are_refused(member: bytes, header: str, name: str) -> None:
    """Whole archives with good checksums, such as no accident makes."""
    for content in (member, npy_with_header(header) + member):
        with pytest.raises(CheckpointError):
            read(archive({"header.npy": header_of(name.removesuffix(".npy")), name: content}))


@settings(deadline=None)
@given(text=st.text() | JSON.map(json.dumps))
@example('{"format": 1')
@example("[" * 50_000)
@example("9" * 5_000)
def test_a_header_that_is_no_object_of_this_format_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        read(archive({"header.npy": npy_of_text(text)}))


def test_arrays_that_the_header_does_not_tell_of_are_refused() -> None:
    for members in ({"x.npy": npy(np.zeros(1))}, {}):
        with pytest.raises(CheckpointError):
            read(archive({"header.npy": header_of("y"), **members}))


@pytest.mark.parametrize("number", [None, 0, FORMAT + 1, str(FORMAT)])
def test_another_format_is_refused_by_its_number(number: Any) -> None:
    header = npy_of_text(json.dumps({"format": number, "arrays": []}))
    with pytest.raises(CheckpointError, match="not of format 1 or 2"):
        read(archive({"header.npy": header}))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    content = saved(tmp_path, SMALL_HEADER, SMALL)
    for length in range(len(content)):
        with pytest.raises(CheckpointError):
            read(content[:length])


def test_every_flipped_bit_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    content = saved(tmp_path, SMALL_HEADER, SMALL)
    refused = 0
    for position in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            try:
                found = read(bytes(damaged))
            except CheckpointError:
                refused += 1
            else:
                assert_same(found, SMALL_HEADER, SMALL)
    assert refused > 4 * len(content)


@in_one_folder
@given(data=st.data())
def test_several_changed_bytes_are_refused_or_change_nothing(
    data: st.DataObject, tmp_path: Path
) -> None:
    content = bytearray(saved(tmp_path, SMALL_HEADER, SMALL))
    places = st.integers(0, len(content) - 1)
    for position in data.draw(st.lists(places, min_size=1, max_size=6)):
        content[position] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(content))
    except CheckpointError:
        return
    assert_same(found, SMALL_HEADER, SMALL)


# What others make


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("as_an_array", [True, False])
def test_a_pickle_is_refused_and_never_run(as_an_array: bool, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    trap = np.array([Trap(sprung)], object)
    member = npy(trap) if as_an_array else pickle.dumps(trap)
    right = header_of("agents.weights")
    for members in ({"header.npy": right, "agents.weights.npy": member}, {"header.npy": member}):
        with pytest.raises(CheckpointError):
            read(archive(members))
    with pytest.raises(CheckpointError):
        read(member)
    assert not sprung.exists()
    pickle.loads(pickle.dumps(trap))
    assert sprung.exists()  # so the trap was a real one


def test_the_archive_of_another_program_is_refused() -> None:
    file = io.BytesIO()
    np.savez(file, weights=np.zeros(3), bias=np.zeros(1))
    with pytest.raises(CheckpointError):
        read(file.getvalue())


@pytest.mark.parametrize("packed", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packed_archive_is_refused_before_it_swells(packed: int) -> None:
    size = 2**24
    bomb = archive({"header.npy": header_of("x"), "x.npy": npy(np.zeros(size, np.uint8))}, packed)
    assert len(bomb) < size / 100
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            read(bomb)
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()


def test_damage_in_a_packed_archive_is_refused() -> None:
    content = archive({"header.npy": header_of()}, zipfile.ZIP_LZMA)
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 255
        with pytest.raises(CheckpointError):
            read(bytes(damaged))
