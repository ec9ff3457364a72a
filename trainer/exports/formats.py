"""The export formats by name, and the folder that they are written to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path

from trainer.contract.errors import Error
from trainer.contract.job_files import MODEL
from trainer.exports import c_header, javascript
from trainer.exports.model_card import ModelCard, card_of, markdown
from trainer.exports.policy_network import PolicyNetwork, as_json, from_keras

CARD = "MODEL_CARD.md"
Files = Mapping[str, str | bytes]


class ExportError(Error):
    """The policy cannot be written in that format."""


def _onnx(network: PolicyNetwork, card: ModelCard) -> Files:
    try:
        from trainer.exports import onnx_model

        model = onnx_model.model(network, card.info)
    except ImportError as error:
        raise ExportError(
            "The package onnx is missing. Install it: pip install '.[export]'"
        ) from error
    return {"policy.onnx": model.SerializeToString()}


def _tflite(network: PolicyNetwork, card: ModelCard) -> Files:
    from trainer.exports import tflite_model

    return {"policy.tflite": tflite_model.content(network)}


def _c(network: PolicyNetwork, card: ModelCard) -> Files:
    about = ", ".join(f"{name} {value}" for name, value in card.info.items())
    return {"policy.h": c_header.source(network, card.title, about)}


def _js(network: PolicyNetwork, card: ModelCard) -> Files:
    return {
        "policy.js": javascript.module(network, card.info),
        "policy.d.ts": javascript.types(network),
    }


def _numpy(network: PolicyNetwork, card: ModelCard) -> Files:
    reader = resources.files("trainer.exports") / "templates" / "policy.py"
    content = {"info": dict(card.info), **as_json(network)}
    return {
        "policy.py": reader.read_text(encoding="utf-8"),
        "policy.json": json.dumps(content, allow_nan=False) + "\n",
    }


FORMATS: Mapping[str, Callable[[PolicyNetwork, ModelCard], Files]] = {
    "onnx": _onnx,
    "tflite": _tflite,
    "c": _c,
    "js": _js,
    "numpy": _numpy,
}


def write_policy(
    model: bytes,
    settings: bytes | None,
    manifest: bytes | None,
    chosen: Sequence[str],
    folder: Path,
) -> list[str]:
    """Writes a run's policy from the bytes of its files; returns the names of the files.

    Raises:
        ExportError: `model` is not a policy of the trainer, or see `write`.
        OSError: a file cannot be written.
    """
    from trainer.outputs.models import read_keras_model

    try:
        network = from_keras(read_keras_model(model))
    except ValueError as error:
        raise ExportError(f"{MODEL} holds no policy: {error}.") from error
    return write(network, card_of(network, settings, manifest), chosen, folder)


def write(
    network: PolicyNetwork, card: ModelCard, chosen: Sequence[str], folder: Path
) -> list[str]:
    """Writes the chosen formats and the model card into an existing folder; the files' names.

    Raises:
        ExportError: a format cannot hold the policy, or its package is missing.
        OSError: a file cannot be written.
    """
    files: dict[str, str | bytes] = {}
    for name in chosen:
        try:
            files |= FORMATS[name](network, card)
        except ValueError as error:
            raise ExportError(f"The policy cannot be exported as {name}: {error}.") from error
    files[CARD] = markdown(card, chosen)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)
    return list(files)
