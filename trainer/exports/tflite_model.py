"""A policy for LiteRT (TensorFlow Lite), by TensorFlow's own converter."""

from __future__ import annotations

import tempfile
from pathlib import Path

import tensorflow as tf

from trainer.exports.policy_network import PolicyNetwork
from trainer.outputs.models import Policy, save_saved_model


def content(network: PolicyNetwork) -> bytes:
    """The file's bytes; its signature `serving_default` is the SavedModel's."""
    actor = [
        (x.kernel.reshape(1, -1, len(x.bias)), x.bias.reshape(1, 1, -1)) for x in network.all_layers
    ]
    convolutions = tuple((len(x.bias), x.kernel.shape[0], x.stride) for x in network.convolutions)
    policy = Policy(actor, convolutions, network.observation_shape, pixels=network.pixels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "saved_model")
        save_saved_model(policy, path)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(path))
        return bytes(converter.convert())
