"""A trained policy in NumPy. Reads `policy.json` beside this file; needs nothing else.

from policy import act, probabilities
act(observation)             # the greedy action, for one observation or a batch of them
probabilities(observation)   # of all actions
"""

import json
from pathlib import Path

import numpy as np

POLICY = json.loads(Path(__file__).with_name("policy.json").read_text(encoding="utf-8"))
SHAPE = tuple(POLICY["observation_shape"])
CONVOLUTIONS = [
    (np.float32(x["kernel"]), np.float32(x["bias"]), x["size"], x["stride"])
    for x in POLICY["convolutions"]
]
LAYERS = [(np.float32(x["kernel"]), np.float32(x["bias"])) for x in POLICY["layers"]]


def logits(observations):
    """The last layer's outputs, `[batch, actions]`, for observations `[batch, *shape]`."""
    x = np.asarray(observations, np.float32)
    if POLICY["pixels"]:
        x = x / np.float32(255)
    for kernel, bias, size, stride in CONVOLUTIONS:
        windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
        patches = np.moveaxis(windows[:, ::stride, ::stride], 3, -1)
        x = np.tanh(patches.reshape(*patches.shape[:3], -1) @ kernel + bias)
    x = x.reshape(len(x), -1)
    for kernel, bias in LAYERS[:-1]:
        x = np.tanh(x @ kernel + bias)
    return x @ LAYERS[-1][0] + LAYERS[-1][1]


def probabilities(observations):
    """Of each action: `[batch, actions]`, or `[actions]` for a single observation."""
    x = np.asarray(observations)
    outputs = logits(x.reshape(-1, *SHAPE))
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    found = powers / powers.sum(axis=1, keepdims=True)
    return found[0] if x.shape == SHAPE else found


def act(observations):
    """The likeliest action, the first of equals: an int, or an array for a batch."""
    found = np.argmax(probabilities(observations), axis=-1)
    return int(found) if found.ndim == 0 else found
