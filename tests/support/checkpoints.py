"""Checkpoint files: written by the trainer, and made by hand."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from trainer.storage.checkpoint import FORMAT, Checkpoint, write

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
SMALL_HEADER = {"settings": {"seed": 3}, "reports": []}
SMALL = {"agents.weights": np.arange(6, dtype=np.float32).reshape(2, 3)}


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
