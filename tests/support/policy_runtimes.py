"""The seven forms of one policy, each as a function: observations to probabilities and actions."""

from __future__ import annotations

import atexit
import ctypes
import importlib.util
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Answer = tuple[NDArray[np.float64], NDArray[np.int64]]  # [B, actions], [B]
Runtime = Callable[[NDArray[Any]], Answer]

C_MAIN = """\
#include "policy.h"
void many(const policy_input *observations, long count, float *probabilities, int *actions) {
    long i;
    for (i = 0; i < count; i++) {
        policy_probabilities(observations + i * POLICY_OBSERVATION_SIZE,
                             probabilities + i * POLICY_ACTIONS);
        actions[i] = policy_act(observations + i * POLICY_OBSERVATION_SIZE);
    }
}
"""
C_FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2")
NODE_MAIN = """\
import { createInterface } from "node:readline";
import { act, probabilities } from "./policy.js";
for await (const line of createInterface({ input: process.stdin })) {
  const observations = JSON.parse(line);
  console.log(JSON.stringify([observations.map(probabilities), observations.map(act)]));
}
"""


def runtimes(job_dir: Path, exports: Path) -> dict[str, Runtime]:
    """All seven, from a run's job dir and a folder with every export."""
    return {
        "saved_model": saved_model(job_dir / "saved_model"),
        "keras": keras_model(job_dir / "model.keras"),
        "onnx": onnx(exports / "policy.onnx"),
        "tflite": tflite(exports / "policy.tflite"),
        "c": c(exports),
        "js": javascript(exports),
        "numpy": numpy_module(exports / "policy.py"),
    }


def saved_model(path: Path) -> Runtime:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    act = loaded.signatures["serving_default"]

    def answer(observations: NDArray[Any]) -> Answer:
        found = act(observations=tf.constant(observations))
        return found["probabilities"].numpy().astype(float), found["action"].numpy()

    answer.loaded = loaded  # type: ignore[attr-defined]  # its variables live as long as it does
    return answer


def keras_model(path: Path) -> Runtime:
    import keras

    model = keras.saving.load_model(path)

    def answer(observations: NDArray[Any]) -> Answer:
        found = np.asarray(model(observations)["probabilities"])
        return found.astype(float), found.argmax(axis=1)

    return answer


def onnx(path: Path) -> Runtime:
    import onnxruntime

    session = onnxruntime.InferenceSession(path)

    def answer(observations: NDArray[Any]) -> Answer:
        probabilities, action = session.run(None, {"observations": observations})
        return probabilities.astype(float), action

    return answer


def tflite(path: Path) -> Runtime:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner("serving_default")

    def answer(observations: NDArray[Any]) -> Answer:
        found = runner(observations=observations)
        return found["probabilities"].astype(float), found["action"]

    return answer


def c(folder: Path) -> Runtime:
    """Compiled as a shared library with every warning an error."""
    (folder / "many.c").write_text(C_MAIN, encoding="utf-8")
    library = folder / "policy.so"
    command = ["gcc", *C_FLAGS, "-shared", "-fPIC", "many.c", "-o", str(library)]
    subprocess.run(command, cwd=folder, check=True)
    many = ctypes.CDLL(str(library)).many

    def answer(observations: NDArray[Any]) -> Answer:
        count = len(observations)
        rows = np.ascontiguousarray(observations)
        probabilities = np.zeros((count, actions_of(folder)), np.float32)
        actions = np.zeros(count, np.int32)
        many(
            rows.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_long(count),
            probabilities.ctypes.data_as(ctypes.c_void_p),
            actions.ctypes.data_as(ctypes.c_void_p),
        )
        return probabilities.astype(float), actions.astype(np.int64)

    return answer


def javascript(folder: Path) -> Runtime:
    """By a Node process: a line of observations in, a line of answers out."""
    (folder / "main.mjs").write_text(NODE_MAIN, encoding="utf-8")
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    node = subprocess.Popen(
        ["node", "main.mjs"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    atexit.register(node.kill)

    def answer(observations: NDArray[Any]) -> Answer:
        assert node.stdin is not None and node.stdout is not None
        node.stdin.write(json.dumps(observations.tolist()) + "\n")
        node.stdin.flush()
        probabilities, actions = json.loads(node.stdout.readline())
        return np.array(probabilities), np.array(actions)

    return answer


def numpy_module(path: Path) -> Runtime:
    spec = importlib.util.spec_from_file_location("exported_policy", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def answer(observations: NDArray[Any]) -> Answer:
        return module.probabilities(observations).astype(float), module.act(observations)

    return answer


def actions_of(folder: Path) -> int:
    return len(json.loads((folder / "policy.json").read_bytes())["layers"][-1]["bias"])
