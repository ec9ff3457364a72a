"""Checks an untrusted `.keras` file without Keras: known layers only, and no false sizes.

Keras imports the modules that a file names, and allocates what its configuration says.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MODULES = ("keras", "keras.layers", "keras.initializers", "keras.src.models.functional", None)
_PARTS = (
    *("Functional", "DTypePolicy", "GlorotUniform", "Zeros", "__keras_tensor__"),
    *("InputLayer", "Rescaling", "Conv2D", "Flatten", "Dense", "Softmax"),
)
_LARGEST_CONFIG = 2**20  # bytes
_MOST_ITEMS = 1000


def check(content: bytes) -> None:
    """Raises ValueError where `content` is not the model of a policy as the trainer saves it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = [member.file_size for member in archive.infolist()]
            if sum(sizes) > len(content) or archive.getinfo(_CONFIG).file_size > _LARGEST_CONFIG:
                raise ValueError("it is packed")
            config, weights = json.loads(archive.read(_CONFIG)), archive.read(_WEIGHTS)
        for part in _dicts(config):
            if part.get("module") not in _MODULES or part.get("class_name", "Dense") not in _PARTS:
                raise ValueError("it has parts that a policy does not have")
        if 4 * max(_parameters(config["config"]["layers"]), _stored(weights)) > len(content):
            raise ValueError("it states more parameters than it holds")
    except Exception as error:  # zipfile and h5py raise anything over arbitrary bytes
        raise ValueError("is not the Keras model of a policy") from error


def _dicts(found: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(found, dict):
        yield found
    for inner in found.values() if isinstance(found, dict) else found:
        if isinstance(inner, dict | list):
            yield from _dicts(inner)


def _parameters(layers: list[dict[str, Any]]) -> int:
    """How many numbers Keras would allocate for these layers, given from input to output."""
    shapes: dict[str, tuple[int, ...]] = {}
    total = 0
    for layer in layers:
        config, kind = layer["config"], layer["class_name"]
        if kind == "InputLayer":
            shape = tuple(map(int, config["batch_shape"][1:]))
        else:
            [node] = layer["inbound_nodes"]
            shape = shapes[node["args"][0]["config"]["keras_history"][0]]
        if kind == "Flatten":
            shape = (math.prod(shape),)
        elif kind == "Dense":
            total += shape[-1] * int(config["units"])
            shape = (*shape[:-1], int(config["units"]))
        elif kind == "Conv2D":
            kernel, filters = config["kernel_size"], int(config["filters"])
            total += math.prod(map(int, kernel)) * shape[-1] * filters
            steps = zip(shape[:2], kernel, config["strides"], strict=True)
            shape = (*((size - k) // stride + 1 for size, k, stride in steps), filters)
        if min(shape) < 1:
            raise ValueError("a layer is empty")
        shapes[config["name"]] = shape
    return total


def _stored(weights: bytes) -> int:
    """How many numbers the stored weights hold."""
    import h5py  # type: ignore[import-untyped]

    total = seen = 0
    with h5py.File(io.BytesIO(weights), "r") as file:
        folders = [file]
        while folders:
            folder = folders.pop()
            for name in folder:
                seen += 1
                if seen > _MOST_ITEMS:  # a group may contain itself
                    raise ValueError("it has parts that a policy does not have")
                if not isinstance(folder.get(name, getlink=True), h5py.HardLink):
                    raise ValueError("its weights are in another file")
                item = folder[name]
                if isinstance(item, h5py.Group):
                    folders.append(item)
                elif item.external or item.is_virtual:
                    raise ValueError("its weights are in another file")
                else:
                    total += int(item.size)
    return total
