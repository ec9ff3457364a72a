"""A trained policy as plain arrays: what every export is written from."""

from __future__ import annotations

import json
import math
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
        """How many numbers the policy has."""
        return sum(x.kernel.size + x.bias.size for x in self.all_layers)


def from_keras(model: Any) -> PolicyNetwork:
    """The actor of a run's `model.keras`. Raises ValueError where the model is another one."""
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
        ValueError: JSON has no number for one of them.
    """
    if not np.isfinite(values).all():
        raise ValueError("it has weights that are not finite")
    return json.loads(json.dumps(values.astype(object), default=_digits))


def _digits(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else float(str(value))
