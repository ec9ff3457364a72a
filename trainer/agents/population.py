"""Agents trained side by side: their weights, and one compiled update for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.algorithms import ALGORITHMS
from trainer.agents.minibatches import Passes, fill_orders
from trainer.agents.networks import Architecture, forward, initialise
from trainer.agents.optimizer import State
from trainer.agents.random_streams import Purpose, Streams
from trainer.agents.rollout import Rollout
from trainer.agents.update import CHUNK_STEPS, Rule, Update, settings
from trainer.contract.settings import Hyperparameters
from trainer.storage.checkpoint import Arrays, field


class Agents:
    """P independent agents with networks of one shape. Other hyperparameters may differ."""

    def __init__(
        self,
        algorithm: str,
        architecture: Architecture,
        hyperparameters: Sequence[Hyperparameters],
        streams: Streams,
    ) -> None:
        self.architecture = architecture
        self.hyperparameters = tuple(hyperparameters)
        self.settings = settings(hyperparameters)
        chunk = CHUNK_STEPS if ALGORITHMS[algorithm].whole_episodes else None
        minibatches = ALGORITHMS[algorithm].minibatches
        self.passes = Passes.of(hyperparameters) if minibatches else None
        self.rule = Rule(algorithm, architecture, chunk, self.passes)
        self._streams = streams
        agents = range(streams.num_agents)
        weights = tf.constant(
            initialise(
                architecture, [streams.generator(Purpose.INITIALISATION, k, 0) for k in agents]
            )
        )
        zeros = tf.zeros_like(weights)
        self.state = State(weights, weights, zeros, zeros, tf.zeros((len(agents), 1)))
        self._update = tf.function(self._compute_update, jit_compile=True, autograph=False)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Everything that an update changes, by name."""
        return {name: x.numpy() for name, x in self.state._asdict().items()}

    def restore(self, arrays: Arrays) -> None:
        """Restores a `snapshot`. Raises CheckpointError if its arrays do not fit."""
        self.state = State(
            *(
                tf.constant(field(arrays, name, np.float32, x.shape))
                for name, x in self.state._asdict().items()
            )
        )

    def act_greedily(self, agent: int, observation: NDArray[Any]) -> int:
        """One agent's most probable action for one encoded observation."""
        weights = self.state.averaged.numpy()[agent : agent + 1]
        network = self.architecture.unpack(weights)["actor"]
        logits = forward(network, observation[None, None], self.architecture.convolutions)
        return int(logits.argmax())

    def value_scale(self, agent: int) -> float:
        return self.hyperparameters[agent].value_scale

    def orders(
        self, steps: NDArray[np.int64], active: NDArray[np.bool_], rollouts: int, transitions: int
    ) -> NDArray[np.int32]:
        """Permutations of the transitions of the next rollouts, `[P, rollouts, epochs, B]`.

        Empty where updates take no minibatches. `steps` `[P]` are those taken so far.
        """
        if self.passes is None:
            return np.zeros((len(steps), rollouts, 0, 0), np.int32)
        found = np.zeros((len(steps), rollouts, self.passes.epochs, transitions), np.int32)
        for agent in np.flatnonzero(active).tolist():
            self.fill_orders(found[agent], agent, int(steps[agent]), transitions)
        return found

    def fill_orders(
        self, orders: NDArray[np.int32], agent: int, steps: int, transitions: int
    ) -> None:
        """Draws one agent's permutations into `orders` `[rollouts, epochs, B]`."""
        fill_orders(orders, self.hyperparameters[agent], self._streams, agent, steps, transitions)

    def update(
        self,
        rollout: Rollout,
        remaining: NDArray[np.float64],
        active: NDArray[np.bool_],
        orders: NDArray[np.int32] | None = None,
    ) -> Update:
        """Learns from one rollout; the arguments are those of `Rule.update`."""
        if orders is None:
            orders = np.zeros((len(active), 0, 0), np.int32)
        remaining = remaining.astype(np.float32)
        inputs = map(tf.constant, (remaining, active, orders))
        self.state, update = self._update(self.state, rollout, *inputs)
        return update

    def _compute_update(self, *inputs: Any) -> tuple[State, Update]:
        return self.rule.update(self.settings, *inputs)
