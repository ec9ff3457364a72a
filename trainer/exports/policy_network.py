"""A trained policy as plain arrays, from which every export is written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Convolution(NamedTuple):
    """A convolution without padding, followed by tanh."""

    kernel: NDArray[np.float32]  # [size, size, inputs, filters]
    bias: NDArray[np.float32]  # [filters]
    stride: int


class Dense(NamedTuple):
    """A dense layer; tanh follows it unless it is the last."""

    kernel: NDArray[np.float32]  # [inputs, outputs]
    bias: NDArray[np.float32]  # [outputs]


class PolicyNetwork(NamedTuple):
    """Observations to the logits of the actions: convolutions, if any, then dense layers."""

    observation_shape: tuple[int, ...]  # (features,), or (height, width, channels) for images
    pixels: bool  # whether observations are bytes, which are divided by 255
    convolutions: tuple[Convolution, ...]
    layers: tuple[Dense, ...]

    @property
    def num_actions(self) -> int:
        return len(self.layers[-1].bias)

    @property
    def observation_size(self) -> int:
        return math.prod(self.observation_shape)

    @property
    def all_layers(self) -> list[Convolution | Dense]:
        return [*self.convolutions, *self.layers]

    @property
    def parameters(self) -> int:
        """How many weights the policy has."""
        return sum(x.kernel.size + x.bias.size for x in self.all_layers)

    def logits(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        """The last layer's outputs `[B, actions]` for observations `[B, *shape]`."""
        x = np.asarray(observations, np.float32)
        if self.pixels:
            x = x / np.float32(255)
        for kernel, bias, stride in self.convolutions:
            size = kernel.shape[0]
            windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
            patches = np.moveaxis(windows[:, ::stride, ::stride], 3, -1)
            flat = patches.reshape(*patches.shape[:3], -1)
            x = np.tanh(flat @ kernel.reshape(-1, len(bias)) + bias)
        x = x.reshape(len(x), -1)
        *hidden, last = self.layers
        for layer in hidden:
            x = np.tanh(x @ layer.kernel + layer.bias)
        return np.asarray(x @ last.kernel + last.bias)

    def probabilities(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        """Of each action: `[B, actions]`, or `[actions]` for a single observation."""
        x = np.asarray(observations)
        outputs = self.logits(x.reshape(-1, *self.observation_shape))
        powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        found: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
        return found[0] if x.shape == self.observation_shape else found

    def act(self, observation: NDArray[Any]) -> int:
        """The likeliest action for one observation, the first of equals."""
        return int(np.argmax(self.logits(np.asarray(observation)[np.newaxis])))


def from_json(network: Mapping[str, Any], shape: tuple[int, ...]) -> PolicyNetwork:
    """The newest snapshot of a `policy.json`. Raises KeyError, TypeError, ValueError."""
    layers = [
        Dense(np.array(x["kernel"], np.float32), np.array(x["bias"], np.float32))
        for x in network["snapshots"][-1]["layers"]
    ]
    return PolicyNetwork(shape, False, (), tuple(layers))


def from_keras(model: Any) -> PolicyNetwork:
    """The actor of a run's `model.keras`. Raises ValueError for any other model."""
    actor = [layer for layer in model.layers if layer.name.startswith("actor_")]
    convolutions, layers = [], []
    for layer in actor:
        if not layer.get_weights():  # it only flattens
            continue
        kernel, bias = (np.asarray(x, np.float32) for x in layer.get_weights())
        if kernel.ndim == 4:
            convolutions.append(Convolution(kernel, bias, int(layer.strides[0])))
        else:
            layers.append(Dense(kernel, bias))
    if not layers:
        raise ValueError("it has no layers named actor_1, actor_2, ...")
    inputs = model.inputs[0]
    pixels = inputs.dtype == "uint8"
    return PolicyNetwork(tuple(inputs.shape[1:]), pixels, tuple(convolutions), tuple(layers))


def as_json(network: PolicyNetwork) -> dict[str, Any]:
    """The network as JSON: the newest snapshot of `policy.json`, and what images need besides."""
    return {
        "observation_shape": list(network.observation_shape),
        "pixels": network.pixels,
        "convolutions": [
            {
                "kernel": numbers(np.reshape(each.kernel, (-1, each.kernel.shape[3]))),
                "bias": numbers(each.bias),
                "size": each.kernel.shape[0],
                "stride": each.stride,
            }
            for each in network.convolutions
        ],
        "layers": [
            {"kernel": numbers(each.kernel), "bias": numbers(each.bias)} for each in network.layers
        ],
    }


def numbers(values: NDArray[np.float32]) -> Any:
    """Nested lists of floats with the fewest digits that restore the bits.

    Raises:
        ValueError: one of them is not finite.
    """
    if not np.isfinite(values).all():
        raise ValueError("it has weights that are not finite")
    return json.loads(json.dumps(values.astype(object), default=_digits))


def _digits(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else float(str(value))
