"""Keeps a few earlier policies of each agent, of those that were evaluated.

Which agent is saved is known only at the end, so snapshots of all agents are kept, in bounded
memory: of every evaluation at first, then of every second, of every fourth, as they grow in number.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.agents.networks import Architecture
from trainer.storage.checkpoint import Arrays, field

KEPT = 6  # at most, for each agent; a checkpoint holds all of them


class Snapshot(NamedTuple):
    """A policy at one point of its training."""

    label: str
    steps: int
    score: float | None  # in validation; None before the first
    layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]]  # kernels and biases


class PolicySnapshots:
    """The policies of untrained agents, and some of their later ones.

    All agents in training are at the same evaluation, so the snapshots of an agent do not depend
    on the other agents.
    """

    def __init__(self, architecture: Architecture, weights: NDArray[np.float32]) -> None:
        """`weights` `[P, size]` are the initial ones.

        Networks with convolutions are large, so none of their snapshots are kept.
        """
        actor = sum((i + 1) * o for i, o in architecture.layers["actor"])
        self.architecture = architecture
        self.size = 0 if architecture.convolutions else actor  # the first numbers of an agent's row
        self._start = weights[:, : self.size].copy()
        agents = len(weights)
        self._weights: NDArray[Any] = np.zeros(
            (0, agents, self.size), np.float32
        )  # [slots, P, ...]
        self._steps: NDArray[Any] = np.zeros((0, agents), np.int64)
        self._scores: NDArray[Any] = np.zeros((0, agents))

    def keep(
        self,
        evaluations: int,
        agents: NDArray[np.bool_],
        steps: NDArray[np.int64],
        scores: NDArray[np.float64],
        weights: NDArray[np.float32],
    ) -> None:
        """Records evaluation number `evaluations` of the `agents` `[P]` that still train."""
        interval = 1
        while evaluations // interval > KEPT:
            interval *= 2
        if evaluations == interval // 2 * (KEPT + 1):  # one too many: every other one is dropped
            for array in (self._weights, self._steps, self._scores):
                array[: KEPT // 2, agents] = array[1::2, agents]
                array[KEPT // 2 :, agents] = 0
        if evaluations % interval:
            return
        slot = evaluations // interval - 1
        if slot == len(self._steps):
            self._weights = _with_a_slot(self._weights)
            self._steps = _with_a_slot(self._steps)
            self._scores = _with_a_slot(self._scores)
        self._weights[slot, agents] = weights[agents, : self.size]
        self._steps[slot, agents] = steps[agents]
        self._scores[slot, agents] = scores[agents]

    def of(
        self, agent: int, steps: int, score: float | None, weights: NDArray[np.float32]
    ) -> list[Snapshot]:
        """An agent's policy at the start, near the middle and at the end; empty with convolutions.

        `steps`, `score` and `weights` `[P, size]` are those at the end. The middle is the snapshot
        nearest to half of the steps, the earlier of two; it is left out if none was kept.
        """
        if not self.size:
            return []
        between = np.flatnonzero((self._steps[:, agent] > 0) & (self._steps[:, agent] < steps))
        found = [Snapshot("start", 0, None, self._layers(self._start[agent]))]
        if len(between):
            slot = min(between, key=lambda slot: abs(2 * int(self._steps[slot, agent]) - steps))
            middle = float(self._scores[slot, agent])
            found.append(
                Snapshot(
                    "middle",
                    int(self._steps[slot, agent]),
                    middle if math.isfinite(middle) else None,
                    self._layers(self._weights[slot, agent]),
                )
            )
        found.append(Snapshot("end", steps, score, self._layers(weights[agent, : self.size])))
        return found

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """The snapshots since the start of training, by name."""
        arrays = {"weights": self._weights, "steps": self._steps, "scores": self._scores}
        return {name: array.copy() for name, array in arrays.items()}

    def restore(self, arrays: Arrays) -> None:
        """Restores a `snapshot`. Raises CheckpointError if its arrays do not fit."""
        agents = len(self._start)
        steps = field(arrays, "steps", np.int64, (None, agents))
        slots = len(steps)
        weights = field(arrays, "weights", np.float32, (slots, agents, self.size))
        scores = field(arrays, "scores", np.float64, (slots, agents))
        self._weights, self._steps, self._scores = weights.copy(), steps.copy(), scores.copy()

    def _layers(
        self, row: NDArray[np.float32]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        layers = []
        for inputs, outputs in self.architecture.layers["actor"]:
            kernel, bias, row = np.split(row, [inputs * outputs, (inputs + 1) * outputs])
            layers.append((kernel.reshape(inputs, outputs), bias))
        return layers


def _with_a_slot(array: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([array, np.zeros((1, *array.shape[1:]), array.dtype)])
