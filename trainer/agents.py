"""A stack of agents: their weights, their optimisers, and one compiled update for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.algorithms import ALGORITHMS, Batch, Coefficients, Losses
from trainer.config import Hyperparameters
from trainer.networks import Architecture, Network, forward, initialise
from trainer.randomness import Purpose, Streams
from trainer.rollout import Rollout

Networks = dict[str, Network]
ADAM_BETA_1 = 0.9  # the field's constant; the rest of Adam is in the flags
CHUNK_STEPS = 64  # long rollouts go through the networks this many time steps at a time


class State(NamedTuple):
    """All that learning changes. Every tensor's first axis is the agent's."""

    networks: Networks
    averaged: Networks  # an exponential moving average of `networks`: the policy that is scored
    first_moments: Networks
    second_moments: Networks
    updates: tf.Tensor  # [P] float32


class Update(NamedTuple):
    """What one update did, an entry an agent."""

    losses: Losses  # [P, 1]
    gradient_norm: tf.Tensor  # [P], before clipping
    finite: tf.Tensor  # [P] bool; where False the weights were left as they were

    def means(self, agents: NDArray[np.bool_]) -> dict[str, float]:
        """What to log, each a mean over those of `agents` whose numbers are finite."""
        numbers = {f"{name}_loss": x[:, 0] for name, x in self.losses._asdict().items()}
        numbers["entropy"] = numbers.pop("entropy_loss")
        numbers["gradient_norm"] = self.gradient_norm
        chosen = agents & self.finite.numpy()
        return {
            name: float(x.numpy()[chosen].mean()) for name, x in numbers.items() if chosen.any()
        }


class Agents:
    """P independent agents trained side by side. They may differ in every number but the shapes."""

    def __init__(
        self,
        algorithm: str,
        architecture: Architecture,
        hyperparameters: Sequence[Hyperparameters],
        streams: Streams,
    ) -> None:
        self.architecture = architecture
        self._algorithm = ALGORITHMS[algorithm]
        self._hyperparameters = hyperparameters
        self._learning_rate = _column(h.learning_rate for h in hyperparameters)[:, 0]
        self._coefficients = Coefficients(
            *(_column(getattr(h, name) for h in hyperparameters) for name in Coefficients._fields)
        )
        self._optimiser = Optimiser(
            *(_column(getattr(h, name) for h in hyperparameters) for name in Optimiser._fields)
        )
        generators = [
            streams.generator(Purpose.INITIALISATION, k, 0) for k in range(streams.num_agents)
        ]
        networks = initialise(architecture, generators)
        zeros = tf.nest.map_structure(tf.zeros_like, networks)
        updates = tf.zeros(len(hyperparameters))
        self.state = State(networks, networks, zeros, zeros, updates)
        self._update = tf.function(self._compute_update, jit_compile=True, autograph=False)

    @property
    def policy(self) -> Network:
        """What is scored and saved."""
        return self.state.averaged["actor"]

    @property
    def networks(self) -> Networks:
        """What learns and collects."""
        return self.state.networks

    def act_greedily(self, agent: int, observation: NDArray[Any]) -> int:
        """The action that one agent's policy likes best for one encoded observation."""
        network = tf.nest.map_structure(lambda w: w[agent : agent + 1].numpy(), self.policy)
        logits = forward(network, observation[None, None], self.architecture.convolutions)
        return int(logits.argmax())

    def value_scale(self, agent: int) -> float:
        return self._hyperparameters[agent].value_scale

    def update(
        self, rollout: Rollout, remaining: NDArray[np.float64], active: NDArray[np.bool_]
    ) -> Update:
        """Learns from one rollout.

        Args:
            remaining: `[P]`, the share of the agent's steps that lie ahead, for the learning rate.
            active: `[P]` bool; the others stay as they are.
        """
        decay = np.array([h.learning_rate_decay == "linear" for h in self._hyperparameters])
        rates = self._learning_rate * np.where(decay, remaining, 1.0).astype(np.float32)
        self.state, update = self._update(self.state, rollout, rates, tf.constant(active))
        return update

    def _compute_update(
        self, state: State, rollout: Rollout, rates: tf.Tensor, active: tf.Tensor
    ) -> tuple[State, Update]:
        gradients, losses = self._gradients(state.networks, rollout)
        squares = [tf.reduce_sum(tf.square(g), axis=(1, 2)) for g in tf.nest.flatten(gradients)]
        norm = tf.sqrt(tf.add_n(squares))
        finite = tf.math.is_finite(norm) & tf.math.is_finite(losses.total[:, 0])
        kept = active & finite
        new = self._optimiser.step(state, gradients, norm, rates)
        chosen = tf.nest.map_structure(
            lambda after, before: tf.where(
                tf.reshape(kept, [-1] + [1] * (before.shape.rank - 1)), after, before
            ),
            new,
            state,
        )
        return chosen, Update(losses, norm, finite)

    def _gradients(self, networks: Networks, rollout: Rollout) -> tuple[Networks, Losses]:
        """Gradients of the summed losses: agents share no weights, so each gets its own."""
        steps, agents, _ = rollout.mask.shape
        chunk = CHUNK_STEPS if self._algorithm.whole_episodes else steps
        values = self._values(networks, rollout.observations)
        next_values = self._values(networks, rollout.next_observations)
        targets = self._algorithm.targets(rollout, values, next_values, self._coefficients)
        weights = rollout.mask / tf.maximum(
            tf.reduce_sum(rollout.mask, axis=(0, 2), keepdims=True), 1
        )
        rows = Batch(rollout.actions, targets.advantages, targets.returns, weights)
        observations = _agent_major(rollout.observations, chunk)
        batch = [_agent_major(tf.stop_gradient(field), chunk) for field in rows]

        def of_chunk(index: Any) -> tuple[Networks, Losses]:
            with tf.GradientTape() as tape:
                tape.watch(networks)
                x = observations[index]
                logits = self._forward(networks["actor"], x)
                predictions = self._value(networks, x)
                part = Batch(*(field[index] for field in batch))
                losses = self._algorithm.loss(logits, predictions, part, self._coefficients)
            return tape.gradient(losses.total, networks), losses

        if steps == chunk:
            return of_chunk(0)
        used = tf.reduce_max(
            tf.reduce_max(rollout.mask, axis=(1, 2)) * tf.range(1, steps + 1, dtype=tf.float32)
        )
        chunks = tf.cast(tf.math.ceil(used / chunk), tf.int32)
        zero = tf.zeros((agents, 1))
        start = (tf.nest.map_structure(tf.zeros_like, networks), Losses(*[zero] * 4))
        return tf.while_loop(
            lambda index, _: index < chunks,
            lambda index, total: (
                index + 1,
                tf.nest.map_structure(tf.add, total, of_chunk(index)),
            ),
            (tf.constant(0), start),
        )[1]

    def _forward(self, network: Network, x: tf.Tensor) -> tf.Tensor:
        return forward(network, x, self.architecture.convolutions)

    def _value(self, networks: Networks, x: tf.Tensor) -> tf.Tensor:
        """V(s), `[P, B]`; zeros without a critic."""
        if not self._algorithm.critic:
            return tf.zeros(x.shape[:2])
        return self._forward(networks["critic"], x)[..., 0] * self._coefficients.value_scale

    def _values(self, networks: Networks, observations: tf.Tensor) -> tf.Tensor:
        """V(s) of time-major observations, `[T, P, N]`."""
        steps, agents, envs = observations.shape[:3]
        values = self._value(networks, _agent_major(observations, steps)[0])
        return tf.transpose(tf.reshape(values, [agents, steps, envs]), [1, 0, 2])


class Optimiser(NamedTuple):
    """Adam (Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980) after clipping, `[P, 1]` each.

    Keras' optimisers know no stack: each agent has its own norm, step size and count.
    """

    max_gradient_norm: tf.Tensor
    adam_beta_2: tf.Tensor
    adam_epsilon: tf.Tensor
    averaging: tf.Tensor

    def step(self, state: State, gradients: Networks, norm: tf.Tensor, rates: tf.Tensor) -> State:
        """The state after one update with step sizes `rates` `[P]`."""
        limit, beta_2, epsilon, averaging = (x[:, :, tf.newaxis] for x in self)
        beta_1 = ADAM_BETA_1
        count = (state.updates + 1)[:, tf.newaxis, tf.newaxis]
        scale = tf.minimum(1.0, limit / tf.maximum(norm[:, tf.newaxis, tf.newaxis], 1e-12))
        rates = rates[:, tf.newaxis, tf.newaxis]
        average = tf.minimum(averaging, count / (count + 10))  # else the first weights linger

        def each(function: Any, *trees: Networks) -> Networks:
            return tf.nest.map_structure(function, *trees)

        first = each(
            lambda m, g: m + (1 - beta_1) * (g * scale - m), state.first_moments, gradients
        )
        second = each(
            lambda v, g: v + (1 - beta_2) * ((g * scale) ** 2 - v), state.second_moments, gradients
        )
        networks = each(
            lambda w, m, v: (
                w - rates * (m / (1 - beta_1**count)) / (tf.sqrt(v / (1 - beta_2**count)) + epsilon)
            ),
            state.networks,
            first,
            second,
        )
        averaged = each(lambda a, w: w + average * (a - w), state.averaged, networks)
        return State(networks, averaged, first, second, state.updates + 1)


def _column(numbers: Any) -> tf.Tensor:
    return tf.constant(list(numbers), tf.float32)[:, tf.newaxis]


def _agent_major(x: tf.Tensor, chunk: int) -> tf.Tensor:
    """`[T, P, N, ...]` to `[T / chunk, P, chunk * N, ...]`."""
    steps, agents, envs, *rest = x.shape
    x = tf.reshape(x, [steps // chunk, chunk, agents, envs, *rest])
    x = tf.transpose(x, [0, 2, 1, *range(3, 4 + len(rest))])
    return tf.reshape(x, [steps // chunk, agents, chunk * envs, *rest])
