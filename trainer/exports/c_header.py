"""A policy as one C99 header without any library, for microcontrollers."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from string import Template

import numpy as np
from numpy.typing import NDArray

from trainer.exports.policy_network import PolicyNetwork

_TEMPLATES = resources.files("trainer.exports") / "templates"


def source(network: PolicyNetwork, title: str, about: str) -> str:
    """The text of `policy.h`; `title` and `about` go into its comment."""
    convolution = _template("convolution.h") if network.convolutions else ""
    return Template(_template("policy.h")).substitute(
        title=_comment(title),
        about=_comment(about),
        inputs=network.observation_size,
        actions=network.num_actions,
        type="unsigned char" if network.pixels else "float",
        arrays="\n".join(_arrays(network)),
        convolution=convolution,
        body="\n".join(_body(network)),
    )


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _comment(text: str) -> str:
    """Text that cannot end the comment it stands in."""
    return text.replace("*/", "* /").replace("\n", " ")


def _arrays(network: PolicyNetwork) -> Iterator[str]:
    for index, layer in enumerate(network.all_layers, 1):
        yield _array(f"policy_kernel_{index}", layer.kernel)
        yield _array(f"policy_bias_{index}", layer.bias)


def _array(name: str, values: NDArray[np.float32]) -> str:
    words = [f"{value}f" for value in map(str, values.reshape(-1))]
    lines = [", ".join(words[start : start + 8]) for start in range(0, len(words), 8)]
    return f"static const float {name}[{len(words)}] = {{\n    " + ",\n    ".join(lines) + "};"


def _body(network: PolicyNetwork) -> Iterator[str]:
    """Declarations first, then one call for each layer: each writes the next one's inputs."""
    calls, sizes = [], []
    shape, source_name = network.observation_shape, "observation"
    if network.pixels or network.convolutions:
        sizes.append(network.observation_size)
        divisor = " / 255.0f" if network.pixels else ""
        calls.append(
            f"for (i = 0; i < {network.observation_size}; i++)"
            f" layer_0[i] = (float)observation[i]{divisor};"
        )
        source_name = "layer_0"
    index = 0
    for index, each in enumerate(network.convolutions, 1):
        size, _, channels, filters = each.kernel.shape
        height, width = ((edge - size) // each.stride + 1 for edge in shape[:2])
        target = f"layer_{len(sizes)}"
        calls.append(
            f"policy_convolution({source_name}, {shape[0]}, {shape[1]}, {channels},"
            f" policy_kernel_{index}, policy_bias_{index}, {size}, {each.stride}, {filters},"
            f" {target});"
        )
        shape, source_name = (height, width, filters), target
        sizes.append(height * width * filters)
    for position, layer in enumerate(network.layers, 1):
        number, last = index + position, position == len(network.layers)
        inputs, outputs = layer.kernel.shape
        target = "logits" if last else f"layer_{len(sizes)}"
        calls.append(
            f"policy_dense({source_name}, {inputs}, policy_kernel_{number}, policy_bias_{number},"
            f" {outputs}, {0 if last else 1}, {target});"
        )
        source_name = target
        if not last:
            sizes.append(outputs)
    for number, size in enumerate(sizes):
        yield f"    float layer_{number}[{size}];"
    if calls[0].startswith("for"):
        yield "    int i;"
    for call in calls:
        yield f"    {call}"
