"""One agent as an ordinary Keras model, and as a SavedModel that needs none of our code."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.agents.networks import Architecture, Network, forward
from trainer.agents.population import Agents
from trainer.contract.job_files import MODEL, SAVED_MODEL
from trainer.storage.job_dir import JobDir


def save_models(job_dir: JobDir, agents: Agents, agent: int, *, pixels: bool) -> None:
    """Writes both models of one agent. Raises OSError."""
    job_dir.write(MODEL, keras_model(agents, agent, pixels=pixels).save)
    policy = Policy(agents, agent, pixels=pixels)
    job_dir.write(SAVED_MODEL, lambda path: save_saved_model(policy, path))


def keras_model(agents: Agents, agent: int, *, pixels: bool = False) -> keras.Model:
    """Observations `[B, *obs]` to `probabilities` `[B, actions]`; A2C: also `value` `[B, 1]`.

    Observations are as the networks see them: discrete ones one-hot, `pixels` as uint8.
    """
    architecture = agents.architecture
    inputs = keras.Input(
        architecture.observation_shape, name="observations", dtype="uint8" if pixels else "float32"
    )
    x = keras.layers.Rescaling(1 / 255)(inputs) if pixels else inputs
    networks = architecture.unpack(agents.state.averaged.numpy()[agent : agent + 1])
    outputs = {}
    outputs["probabilities"] = keras.layers.Softmax(name="probabilities")(
        _stacked_layers(architecture, networks["actor"], "actor", x)
    )
    if "critic" in networks:
        value = _stacked_layers(architecture, networks["critic"], "critic", x)
        scale = agents.value_scale(agent)
        value = keras.layers.Rescaling(scale, name="value_scale")(value)
        outputs["value"] = keras.layers.Flatten(name="value")(value)
    model = keras.Model(inputs, outputs, name="policy")
    for head, network in networks.items():
        for index, (kernel, bias) in enumerate(network):
            layer = model.get_layer(f"{head}_{index + 1}")
            shape = layer.kernel.shape
            layer.set_weights([np.reshape(kernel, shape), np.reshape(bias, [-1])])
    return model


def read_keras_model(content: bytes) -> keras.Model:
    """Loads the bytes of `model.keras`, without running code in it.

    Raises:
        ValueError: it is damaged, or not a Keras model.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, MODEL)
        path.write_bytes(content)
        try:
            return keras.saving.load_model(path, safe_mode=True)
        except Exception as error:  # Keras raises anything over arbitrary bytes
            raise ValueError("it cannot be read as a Keras model") from error


def _stacked_layers(architecture: Architecture, network: Network, head: str, x: Any) -> Any:
    convolutions = architecture.convolutions
    for index, (_, bias) in enumerate(network):
        name, units = f"{head}_{index + 1}", int(bias.shape[-1])
        activation = None if index + 1 == len(network) else "tanh"
        if index < len(convolutions):
            filters, size, stride = convolutions[index]
            x = keras.layers.Conv2D(filters, size, stride, activation=activation, name=name)(x)
            continue
        if convolutions and index == len(convolutions):
            x = keras.layers.Flatten(name=f"{head}_flatten")(x)
        x = keras.layers.Dense(units, activation=activation, name=name)(x)
    return x


class Policy(tf.Module):  # type: ignore[misc]
    """One agent's policy, with the arithmetic that it was trained with.

    The SavedModel is not made from the Keras model: saving that takes three times as long.
    """

    def __init__(self, agents: Agents, agent: int, *, pixels: bool) -> None:
        super().__init__()
        architecture = agents.architecture
        weights = agents.state.averaged.numpy()[agent : agent + 1]
        self.actor = [
            tuple(map(tf.Variable, layer)) for layer in architecture.unpack(weights)["actor"]
        ]
        spec = tf.TensorSpec(
            (None, *architecture.observation_shape),
            tf.uint8 if pixels else tf.float32,
            name="observations",
        )

        def act(observations: tf.Tensor) -> dict[str, tf.Tensor]:
            logits = forward(self.actor, observations[tf.newaxis], architecture.convolutions)[0]
            probabilities = tf.nn.softmax(logits)
            return {"probabilities": probabilities, "action": tf.argmax(logits, axis=-1)}

        self.act = tf.function(act, input_signature=[spec], autograph=False)


def save_saved_model(policy: Policy, path: Path) -> None:
    """Writes a SavedModel: `serving_default` maps observations to probabilities and the action.

    Raises:
        OSError: it cannot be written.
    """
    try:
        tf.saved_model.save(policy, str(path), signatures=policy.act)
    except tf.errors.OpError as error:  # TensorFlow's error for a full disk
        raise OSError(None, error.message.strip() or "could not be written", path.name) from error
