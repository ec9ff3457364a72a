"""Policy and value networks: functions of explicit weights, for many agents at once.

`forward` takes NumPy arrays as well as tensors, so that stepping Gymnasium's environments
needs no graph calls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# A layer is (kernel [P, inputs, outputs], bias [P, 1, outputs]); a network is a tuple of layers.
Network = tuple[tuple[Any, Any], ...]
Array = Any  # np.ndarray or tf.Tensor

# (filters, size, stride) of each layer before the two hidden ones.
Convolutions = tuple[tuple[int, int, int], ...]
LARGE = ((16, 8, 4), (32, 4, 2))  # Mnih et al. (2013), for images of 20 x 20 or more
SMALL = ((16, 3, 1),)  # Young and Tian (2019), https://arxiv.org/abs/1903.03176
LARGE_IMAGE, SMALL_IMAGE = 20, 3  # the least height and width for each


class Architecture(NamedTuple):
    """The shape of an agent's networks: an actor and, for some algorithms, a separate critic.

    The weights of a stack of P agents are one matrix `[P, size]`, a row for each agent. That is
    enough for the optimiser, and a compiled call costs time for each tensor that is passed to it.
    """

    observation_shape: tuple[int, ...]  # (features,), or (height, width, channels) for pixels
    num_actions: int
    hidden_neurons: int
    critic: bool

    @property
    def convolutions(self) -> Convolutions:
        """The convolutions for images; empty for a vector of features.

        Raises:
            ValueError: the images are too small for any convolution.
        """
        if len(self.observation_shape) != 3:
            return ()
        smallest = min(self.observation_shape[:2])
        if smallest < SMALL_IMAGE:
            pixels = " x ".join(map(str, self.observation_shape))
            raise ValueError(
                f"Images of {pixels} are too small: the least is {SMALL_IMAGE} x {SMALL_IMAGE}."
            )
        return LARGE if smallest >= LARGE_IMAGE else SMALL

    @property
    def layers(self) -> dict[str, list[tuple[int, int]]]:
        """(inputs, outputs) of each layer of each network."""
        front, shape = [], self.observation_shape
        for filters, size, stride in self.convolutions:
            height, width, channels = shape
            front.append((size * size * channels, filters))
            shape = ((height - size) // stride + 1, (width - size) // stride + 1, filters)
        hidden = self.hidden_neurons
        trunk = [*front, (math.prod(shape), hidden), (hidden, hidden)]
        heads = {"actor": self.num_actions} | ({"critic": 1} if self.critic else {})
        return {name: [*trunk, (hidden, outputs)] for name, outputs in heads.items()}

    @property
    def size(self) -> int:
        """How many weights an agent has."""
        return sum((i + 1) * o for layers in self.layers.values() for i, o in layers)

    def unpack(self, weights: Array) -> dict[str, Network]:
        """The networks in `weights` `[P, size]`: for each layer a kernel, then a bias."""
        shapes = [
            shape
            for layers in self.layers.values()
            for inputs, outputs in layers
            for shape in ((inputs, outputs), (1, outputs))
        ]
        sizes = [math.prod(shape) for shape in shapes]
        if isinstance(weights, np.ndarray):
            parts = np.split(weights, np.cumsum(sizes)[:-1], axis=1)
        else:
            parts = tf.split(weights, sizes, axis=1)
        arrays = iter(
            part.reshape(-1, *shape)
            if isinstance(part, np.ndarray)
            else tf.reshape(part, (-1, *shape))
            for part, shape in zip(parts, shapes, strict=True)
        )
        return {
            name: tuple((next(arrays), next(arrays)) for _ in layers)
            for name, layers in self.layers.items()
        }


def forward(network: Sequence[tuple[Any, Any]], inputs: Array, convolutions: Convolutions) -> Array:
    """The last layer's outputs `[P, B, outputs]` for `inputs` `[P, B, *observation]`."""
    xp = np if isinstance(inputs, np.ndarray) else tf
    agents, x = inputs.shape[0], inputs
    if x.dtype == np.uint8:
        x = (x.astype(np.float32) if xp is np else tf.cast(x, tf.float32)) / 255.0
    for (_, size, stride), (kernel, bias) in zip(convolutions, network, strict=False):
        x = _patches(x, size, stride)  # a convolution is a dense layer over patches
        height, width, features = x.shape[2:]
        x = xp.tanh(xp.reshape(x, (agents, -1, features)) @ kernel + bias)
        x = xp.reshape(x, (agents, -1, height, width, kernel.shape[-1]))
    if convolutions:
        x = xp.reshape(x, (agents, -1, math.prod(x.shape[2:])))
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
    agents, _, *image = images.shape
    flat = tf.reshape(images, [-1, *image])
    patches = tf.image.extract_patches(
        flat, [1, size, size, 1], [1, stride, stride, 1], [1, 1, 1, 1], "VALID"
    )
    return tf.reshape(patches, [agents, -1, *patches.shape[1:]])


def initialise(
    architecture: Architecture, generators: list[np.random.Generator]
) -> NDArray[np.float32]:
    """Fresh weights `[P, size]`, one generator an agent.

    Orthogonal kernels (Saxe et al., 2014) with gain sqrt(2). The policy's last layer has gain
    0.01, so that the first policy is close to uniform; the value's has gain 1. Biases are zero.
    """
    return np.stack([_initialise_one(architecture, generator) for generator in generators])


def _initialise_one(
    architecture: Architecture, generator: np.random.Generator
) -> NDArray[np.float32]:
    parts = []
    for head, layers in architecture.layers.items():
        gains = [math.sqrt(2)] * (len(layers) - 1) + [0.01 if head == "actor" else 1.0]
        for (inputs, outputs), gain in zip(layers, gains, strict=True):
            parts.append(_orthogonal(generator, (inputs, outputs), gain).reshape(-1))
            parts.append(np.zeros(outputs, np.float32))
    return np.concatenate(parts)


def _orthogonal(
    generator: np.random.Generator, size: tuple[int, int], gain: float
) -> NDArray[np.float32]:
    rows, columns = max(size), min(size)
    q, r = np.linalg.qr(generator.standard_normal((rows, columns)))
    q *= np.sign(np.diag(r))  # makes the distribution uniform
    return (gain * (q if size == (rows, columns) else q.T)).astype(np.float32)
