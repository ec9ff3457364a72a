"""The checkpoint as a file: what was put in comes out, and nothing else is ever believed."""

from __future__ import annotations

import io
import json
import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainer.storage.checkpoint import (
    FORMAT,
    Checkpoint,
    CheckpointError,
    field,
    prefixed,
    read,
    without_prefix,
    write,
)

in_one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
OWN = ("format", "arrays")
HEADERS = st.dictionaries(st.text().filter(lambda name: name not in OWN), JSON, max_size=4)
USED = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_])
ARRAYS = st.dictionaries(
    st.from_regex(r"(agents|collector|progress)\.[a-z_]{1,12}", fullmatch=True),
    hnp.arrays(USED, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)),
    max_size=4,
)


def saved(tmp_path: Path, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> bytes:
    write(tmp_path / "checkpoint", Checkpoint(header, arrays))
    return (tmp_path / "checkpoint").read_bytes()


def assert_same(found: Checkpoint, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Equal to the last bit, signs of zeros and payloads of NaN included."""
    assert found.header == {"format": FORMAT, **header}
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape
        assert found.arrays[name].tobytes() == array.tobytes()


def npy(content: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, content, allow_pickle=True)
    return file.getvalue()


def npy_with_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def archive(members: Mapping[str, bytes], packed: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packed) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return file.getvalue()


def header_of(*names: str) -> bytes:
    """The header's member of a checkpoint of arrays by these names."""
    return npy_of_text(json.dumps({"format": FORMAT, "arrays": sorted(names)}))


def npy_of_text(text: str) -> bytes:
    return npy(np.frombuffer(text.encode(errors="surrogatepass"), np.uint8))


SMALL_HEADER = {"settings": {"seed": 3}, "reports": []}
SMALL = {"agents.weights": np.arange(6, dtype=np.float32).reshape(2, 3)}


def test_an_archive_made_by_hand_as_write_makes_it_is_read() -> None:
    """What the other hand-made archives of this file differ from."""
    array = npy(np.ones(2, np.float32))
    content = archive({"header.npy": header_of("agents.weights"), "agents.weights.npy": array})
    assert read(content).arrays["agents.weights"].tolist() == [1, 1]


@settings(in_one_folder, max_examples=50)
@given(header=HEADERS, arrays=ARRAYS)
def test_what_is_written_is_read_back(
    header: dict[str, Any], arrays: dict[str, Any], tmp_path: Path
) -> None:
    assert_same(read(saved(tmp_path, header, arrays)), header, arrays)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_every_kind_of_number_keeps_its_bits(kind: type, tmp_path: Path) -> None:
    info = np.finfo(kind)
    numbers = [0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, info.smallest_subnormal, info.tiny]
    array = np.array([*numbers, info.max, -info.smallest_subnormal, 1 / 3], kind)
    array[2:3].view(f"i{array.itemsize}")[0] += 7  # a NaN that is not NumPy's own
    assert_same(read(saved(tmp_path, {}, {"x": array})), {}, {"x": array})


def test_the_order_of_memory_is_no_matter(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))[:, ::2]
    assert_same(read(saved(tmp_path, {}, {"x": array})), {}, {"x": array})


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_header_holds_finite_numbers_only(number: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        saved(tmp_path, {"score": number}, {})


def test_objects_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        saved(tmp_path, {}, {"x": np.array([{}], object)})


def test_the_disk_holds_all_of_it_before_writing_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    monkeypatch.setattr(os, "fsync", lambda fd: sizes.append(os.fstat(fd).st_size))
    assert sizes == [len(saved(tmp_path, SMALL_HEADER, SMALL))]


# Damage


@settings(deadline=None)
@given(content=st.binary(max_size=400))
@example(b"")
@example(b"PK\x05\x06" + bytes(18))
@example(pickle.dumps({"header": 1}))
@example(npy(np.zeros(3)))
@example(b"\x93NUMPY")
def test_arbitrary_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(CheckpointError, match="damaged, or no checkpoint at all"):
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


# Names and shapes


def test_prefixes_come_off_as_they_went_on() -> None:
    parts = {"agents": {"x": np.zeros(1)}, "collector": {"x": np.ones(1), "agents.x": np.ones(2)}}
    together = {k: v for name, part in parts.items() for k, v in prefixed(name, part).items()}
    for name, part in parts.items():
        assert without_prefix(name, together).keys() == part.keys()
        assert all(without_prefix(name, together)[key] is part[key] for key in part)


def test_a_field_is_found_by_name_type_and_shape() -> None:
    array = np.zeros((2, 3), np.float32)
    assert field({"x": array}, "x", np.float32, (2, 3)) is array
    assert field({"x": array}, "x", np.float32, (None, 3)) is array


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"^it has no weights$"):
        field({}, "weights", np.float32, ())


@pytest.mark.parametrize(
    "dtype, shape",
    [
        (np.float64, (2, 3)),
        (np.dtype(">f4"), (2, 3)),
        (np.float32, (3, 2)),
        (np.float32, (2,)),
        (np.float32, (2, 3, 1)),
        (np.float32, (None,)),
        (np.float32, ()),
    ],
)
def test_a_field_of_another_type_or_shape_is_refused_with_both(
    dtype: Any, shape: tuple[int | None, ...]
) -> None:
    with pytest.raises(CheckpointError) as refusal:
        field({"x": np.zeros((2, 3), np.float32)}, "x", dtype, shape)
    assert str(refusal.value) == (
        f"its x must be {np.dtype(dtype)} of shape {shape}, but is float32 of shape (2, 3)"
    )
