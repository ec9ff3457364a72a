"""A policy as an ONNX graph, built from its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.exports.policy_network import PolicyNetwork

OPSET, IR_VERSION = 17, 8  # what runtimes from 2022 on read


def model(network: PolicyNetwork, metadata: Mapping[str, str]) -> Any:
    """An `onnx.ModelProto`: `observations` `[batch, *shape]` to `probabilities` and `action`."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes: list[Any] = []
    constants: list[Any] = []
    count = 0

    def constant(name: str, values: NDArray[Any]) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        nonlocal count
        count += 1
        output = output or f"{operator.lower()}_{count}"
        nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    x = "observations"
    if network.pixels:
        x = node("Cast", x, to=TensorProto.FLOAT)
        x = node("Div", x, constant("largest_byte", np.array(255, np.float32)))
    if network.convolutions:  # ONNX wants channels first, our weights were trained with them last
        x = node("Transpose", x, perm=[0, 3, 1, 2])
        for index, each in enumerate(network.convolutions, 1):
            kernel = constant(f"filters_{index}", each.kernel.transpose(3, 2, 0, 1))
            bias = constant(f"filter_bias_{index}", each.bias)
            x = node("Conv", x, kernel, bias, strides=[each.stride, each.stride])
            x = node("Tanh", x)
        x = node("Transpose", x, perm=[0, 2, 3, 1])
    if len(network.observation_shape) > 1:
        x = node("Flatten", x, axis=1)
    for index, layer in enumerate(network.layers, 1):
        kernel = constant(f"kernel_{index}", layer.kernel)
        bias = constant(f"bias_{index}", layer.bias)
        x = node("Gemm", x, kernel, bias)
        if index < len(network.layers):
            x = node("Tanh", x)
    node("Softmax", x, output="probabilities", axis=-1)
    node("ArgMax", x, output="action", axis=-1, keepdims=0)
    shape = ["batch", *network.observation_shape]
    kind = TensorProto.UINT8 if network.pixels else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("observations", kind, shape)],
        [
            helper.make_tensor_value_info(
                "probabilities", TensorProto.FLOAT, ["batch", network.num_actions]
            ),
            helper.make_tensor_value_info("action", TensorProto.INT64, ["batch"]),
        ],
        constants,
    )
    found = helper.make_model(
        graph,
        producer_name="a2c-cloud-trainer",
        producer_version=metadata.get("version", ""),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(found, dict(metadata))
    checker.check_model(found, full_check=True)
    return found
