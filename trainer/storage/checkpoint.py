"""`checkpoint`: everything a run needs to continue bit for bit, as data that cannot run code."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from trainer.contract.errors import Error

FORMAT = 2  # 2: an environment's own state may replace the actions that lead to it
READABLE = (1, 2)
HEADER = "header"

Arrays = Mapping[str, NDArray[Any]]


class CheckpointError(Error):
    """The file is damaged, or not a checkpoint of such a run."""


class Checkpoint(NamedTuple):
    """The state of a run: numbers as arrays by name, the rest as JSON."""

    header: Mapping[str, Any]
    arrays: Arrays


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a NumPy archive without pickles, and syncs it to the disk."""
    names = sorted(checkpoint.arrays)  # because zip's own list has no checksum
    text = json.dumps({"format": FORMAT, "arrays": names, **checkpoint.header}, allow_nan=False)
    header = np.frombuffer(text.encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **{HEADER: header}, **checkpoint.arrays)
        file.flush()
        # A rename may reach the disk before the content: after a power cut the file would be empty.
        os.fsync(file.fileno())


def read(content: bytes) -> Checkpoint:
    """The checkpoint in these bytes; zip's checksums are verified on the way.

    Raises:
        CheckpointError: they are damaged, or not written by `write`.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.zip.infolist()):
                raise ValueError("compressed, which `write` never does: it may expand to any size")
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(arrays.pop(HEADER).tobytes())
    except Exception as error:  # NumPy and zipfile raise anything over arbitrary bytes
        raise CheckpointError("it is damaged, or not a checkpoint") from error
    if not isinstance(header, dict) or header.get("format") not in READABLE:
        raise CheckpointError(f"it is not of format {' or '.join(map(str, READABLE))}")
    # A member that is not an array comes as bytes.
    intact = all(isinstance(array, np.ndarray) for array in arrays.values())
    if not intact or header.pop("arrays", None) != sorted(arrays):
        raise CheckpointError("it is damaged, or not a checkpoint")
    return Checkpoint(header, arrays)


def prefixed(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def without_prefix(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {
        name.removeprefix(f"{prefix}."): array
        for name, array in arrays.items()
        if name.startswith(f"{prefix}.")
    }


def field(arrays: Arrays, name: str, dtype: DTypeLike, shape: Sequence[int | None]) -> NDArray[Any]:
    """The array of that name, after a check of type and shape; None is any length."""
    found = arrays.get(name)
    if found is None:
        raise CheckpointError(f"it has no {name}")
    fits = len(found.shape) == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, found.shape, strict=True)
    )
    if not fits or found.dtype != np.dtype(dtype):
        raise CheckpointError(
            f"its array {name} is {found.dtype} of shape {found.shape},"
            f" not {np.dtype(dtype)} of shape {tuple(shape)}"
        )
    return found
