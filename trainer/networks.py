"""The policy and value networks: plain functions over explicit weights, for a whole stack at once.

`forward` is written for one agent; a leading agents axis on weights and inputs makes it a stack.
It runs on NumPy arrays as on tensors, so that stepping Gymnasium environments pays no graph call.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# A layer is (kernel [P, inputs, outputs], bias [P, 1, outputs]); a network is a tuple of layers.
Network = tuple[tuple[Any, Any], ...]
Array = Any  # np.ndarray or tf.Tensor


# (filters, size, stride) of each layer before the two hidden ones.
Convolutions = tuple[tuple[int, int, int], ...]


def convolutions_of(observation_shape: tuple[int, ...]) -> Convolutions:
    """A small front for pixels, after Mnih et al. (2013); none for a list of features."""
    return ((16, 8, 4), (32, 4, 2)) if len(observation_shape) == 3 else ()


class Architecture(NamedTuple):
    """The shape of an agent's networks."""

    observation_shape: tuple[int, ...]  # (features,), or (height, width, channels) for pixels
    num_actions: int
    hidden_neurons: int
    critic: bool

    @property
    def convolutions(self) -> Convolutions:
        return convolutions_of(self.observation_shape)

    @property
    def heads(self) -> dict[str, int]:
        """The networks of one agent and their numbers of outputs. They share no weights."""
        return {"actor": self.num_actions} | ({"critic": 1} if self.critic else {})


def forward(
    network: Network, inputs: Array, convolutions: tuple[tuple[int, int, int], ...]
) -> Array:
    """The last layer's outputs `[P, B, outputs]` for `inputs` `[P, B, *observation]`."""
    xp = np if isinstance(inputs, np.ndarray) else tf
    agents, batch = inputs.shape[:2]
    x = inputs
    if x.dtype == np.uint8:
        x = (x.astype(np.float32) if xp is np else tf.cast(x, tf.float32)) / 255.0
    for (_, size, stride), (kernel, bias) in zip(convolutions, network, strict=False):
        x = _patches(x, size, stride)  # a convolution is a dense layer over patches
        height, width, features = x.shape[2:]
        x = xp.tanh(xp.reshape(x, (agents, -1, features)) @ kernel + bias)
        x = xp.reshape(x, (agents, batch, height, width, -1))
    if convolutions:
        x = xp.reshape(x, (agents, batch, -1))
    *hidden, (kernel, bias) = network[len(convolutions) :]
    for weight, offset in hidden:
        x = xp.tanh(x @ weight + offset)
    return x @ kernel + bias


def _patches(images: Array, size: int, stride: int) -> Array:
    """`[P, B, H, W, C]` to `[P, B, H', W', size * size * C]`, each patch row by row."""
    if isinstance(images, np.ndarray):
        windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(2, 3))
        windows = np.moveaxis(windows[:, :, ::stride, ::stride], 4, -1)
        return windows.reshape(*windows.shape[:4], -1)
    agents, batch, *image = images.shape
    flat = tf.reshape(images, [-1, *image])
    patches = tf.image.extract_patches(
        flat, [1, size, size, 1], [1, stride, stride, 1], [1, 1, 1, 1], "VALID"
    )
    return tf.reshape(patches, [agents, batch, *patches.shape[1:]])


def layer_sizes(architecture: Architecture, outputs: int) -> list[tuple[int, int]]:
    """(inputs, outputs) of each layer of a network with `outputs` outputs."""
    sizes = []
    shape = architecture.observation_shape
    for filters, size, stride in architecture.convolutions:
        height, width, channels = shape
        sizes.append((size * size * channels, filters))
        shape = ((height - size) // stride + 1, (width - size) // stride + 1, filters)
        if min(shape) < 1:
            pixels = " x ".join(map(str, architecture.observation_shape))
            raise ValueError(f"Pixel observations must be at least 20 x 20, but are {pixels}.")
    hidden = architecture.hidden_neurons
    return [*sizes, (math.prod(shape), hidden), (hidden, hidden), (hidden, outputs)]


def initialise(
    architecture: Architecture, generators: list[np.random.Generator]
) -> dict[str, Network]:
    """Fresh weights of a stack, one generator an agent, float32.

    Orthogonal kernels (Saxe et al., 2014) with gain sqrt(2), 0.01 for the policy's last layer so
    that the first policy is close to uniform, 1 for the value's; zero biases.
    """
    networks = {}
    for head, outputs in architecture.heads.items():
        sizes = layer_sizes(architecture, outputs)
        gains = [math.sqrt(2)] * (len(sizes) - 1) + [0.01 if head == "actor" else 1.0]
        networks[head] = tuple(
            (
                tf.constant(np.stack([_orthogonal(g, size, gain) for g in generators])),
                tf.zeros((len(generators), 1, size[1])),
            )
            for size, gain in zip(sizes, gains, strict=True)
        )
    return networks


def _orthogonal(
    generator: np.random.Generator, size: tuple[int, int], gain: float
) -> NDArray[np.float32]:
    rows, columns = max(size), min(size)
    q, r = np.linalg.qr(generator.standard_normal((rows, columns)))
    q *= np.sign(np.diag(r))  # else the distribution would not be uniform
    return (gain * (q if size == (rows, columns) else q.T)).astype(np.float32)
