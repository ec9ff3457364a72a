"""Models of strangers: no module is imported, and no memory taken, for what a file only says."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.storage.keras_file import check


def layer(kind: str, before: str, **config: Any) -> dict[str, Any]:
    history = {"class_name": "__keras_tensor__", "config": {"keras_history": [before, 0, 0]}}
    nodes = [{"args": [history], "kwargs": {}}] if before else []
    return {
        "module": "keras.layers", "class_name": kind, "config": config, "inbound_nodes": nodes
    }  # fmt: skip


def model(*units: int, **changes: Any) -> bytes:
    """As Keras saves a policy; `weights` and `config` stand in for its parts."""
    layers = [layer("InputLayer", "", name="0", batch_shape=[None, 4])]
    layers += [
        layer("Dense", str(i), name=str(i + 1), units=count) for i, count in enumerate(units)
    ]
    config = {"module": "keras", "class_name": "Functional", "config": {"layers": layers}}
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        changes.pop("weights", fill)(file)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", changes.pop("packing", zipfile.ZIP_STORED)) as archive:
        archive.writestr("config.json", json.dumps(config | changes))
        archive.writestr("model.weights.h5", weights.getvalue())
    return content.getvalue()


def fill(file: Any) -> None:
    file["layers/dense/vars/0"] = [0.0] * 200


def linked(file: Any) -> None:
    file["0"] = h5py.ExternalLink("/etc/hostname", "a")


def circular(file: Any) -> None:
    file["a"] = file["/"]


def test_a_policy_is_accepted() -> None:
    check(model(8, 8, 2))


@pytest.mark.parametrize(
    "content",
    [
        model(65_536, 65_536, 2),
        model(-1, 2),
        model(8, 2, module="os"),
        model(8, 2, module="keras.utils"),
        model(8, 2, class_name="Lambda"),
        model(8, 2, extra={"module": "strangers_module", "class_name": "Dense"}),
        model(8, 2, packing=zipfile.ZIP_DEFLATED, extra="x" * 1_000_000),
        model(8, 2, weights=lambda file: file.create_dataset("0", (65_536, 65_536), "f4")),
        model(8, 2, weights=linked),
        model(8, 2, weights=circular),
        b"",
    ],
    ids=range(11),
)
def test_what_only_says_that_it_is_a_policy_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="is not the Keras model of a policy"):
        check(content)


@given(st.binary(max_size=200), st.integers(0, 2_000))
def test_a_damaged_file_is_a_policy_or_refused(damage: bytes, at: int) -> None:
    content = model(8, 2)
    try:
        check(content[:at] + damage + content[at + len(damage) :])
    except ValueError as error:
        assert str(error) == "is not the Keras model of a policy"
