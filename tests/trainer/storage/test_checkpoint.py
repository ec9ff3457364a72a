"""The checkpoint as a file: what was put in comes out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.checkpoints import (
    JSON,
    SMALL,
    SMALL_HEADER,
    archive,
    assert_same,
    header_of,
    npy,
    saved,
)
from trainer.storage.checkpoint import CheckpointError, field, prefixed, read, without_prefix

in_one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
OWN = ("format", "arrays")
HEADERS = st.dictionaries(st.text().filter(lambda name: name not in OWN), JSON, max_size=4)
USED = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_])
ARRAYS = st.dictionaries(
    st.from_regex(r"(agents|collector|progress)\.[a-z_]{1,12}", fullmatch=True),
    hnp.arrays(USED, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)),
    max_size=4,
)


def test_an_archive_made_by_hand_as_write_makes_it_is_read() -> None:
    """What the other hand-made archives of these tests differ from."""
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
        f"its array x is float32 of shape (2, 3), not {np.dtype(dtype)} of shape {shape}"
    )
