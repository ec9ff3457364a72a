"""A policy for LiteRT (TensorFlow Lite), made by TensorFlow's converter."""

from __future__ import annotations

import tempfile

import tensorflow as tf

from trainer.exports.policy_network import PolicyNetwork


class _Policy(tf.Module):  # type: ignore[misc]
    """The signature of a run's SavedModel, with the convolutions that the converter knows."""

    def __init__(self, network: PolicyNetwork) -> None:
        super().__init__()
        kind = tf.uint8 if network.pixels else tf.float32
        shape = tf.TensorSpec((None, *network.observation_shape), kind, name="observations")
        *hidden, last = network.layers

        def act(observations: tf.Tensor) -> dict[str, tf.Tensor]:
            x = tf.cast(observations, tf.float32)
            if network.pixels:
                x = x / 255.0
            for kernel, bias, stride in network.convolutions:
                x = tf.tanh(tf.nn.conv2d(x, kernel, stride, "VALID") + bias)
            x = tf.reshape(x, (-1, len(network.layers[0].kernel)))
            for kernel, bias in hidden:
                x = tf.tanh(x @ kernel + bias)
            logits = x @ last.kernel + last.bias
            return {"probabilities": tf.nn.softmax(logits), "action": tf.argmax(logits, axis=-1)}

        self.act = tf.function(act, input_signature=[shape], autograph=False)


def content(network: PolicyNetwork) -> bytes:
    """The file's bytes; its signature is `serving_default`, as the SavedModel's."""
    policy = _Policy(network)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(policy, folder, signatures=policy.act)
        return bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
