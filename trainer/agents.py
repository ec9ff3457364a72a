"""A stack of agents: their weights, their optimisers, and one compiled update for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.algorithms import ALGORITHMS, Batch, Coefficients, Losses
from trainer.checkpoint import Arrays, field
from trainer.config import Hyperparameters
from trainer.networks import Architecture, Network, forward, initialise
from trainer.randomness import Purpose, Streams
from trainer.rollout import Rollout

# The last is measured before clipping.
METRICS = ("total_loss", "policy_loss", "value_loss", "entropy", "gradient_norm")
CHUNK_STEPS = 64  # whole episodes go through the networks this many time steps at a time


class State(NamedTuple):
    """All that learning changes: a row for each agent, float32."""

    weights: tf.Tensor  # [P, size]
    averaged: tf.Tensor  # [P, size], a moving average of the weights: what is scored and saved
    first_moments: tf.Tensor  # [P, size]
    second_moments: tf.Tensor  # [P, size]
    updates: tf.Tensor  # [P, 1]


class Update(NamedTuple):
    """What one update did, a row for each agent."""

    metrics: tf.Tensor  # [P, len(METRICS)] float32
    finite: tf.Tensor  # [P] bool; where False an active agent's weights were left as they were


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
        self._coefficients = Coefficients(*_columns(hyperparameters, Coefficients._fields))
        decay = [[h.learning_rate_decay == "linear"] for h in hyperparameters]
        self._optimiser = Optimiser(
            tf.constant(decay), *_columns(hyperparameters, Optimiser._fields[1:])
        )
        agents = range(streams.num_agents)
        weights = tf.constant(
            initialise(
                architecture, [streams.generator(Purpose.INITIALISATION, k, 0) for k in agents]
            )
        )
        zeros = tf.zeros_like(weights)
        self.state = State(weights, weights, zeros, zeros, tf.zeros((len(agents), 1)))
        self._update = tf.function(self.compute_update, jit_compile=True, autograph=False)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """All that an update changes, by name."""
        return {name: x.numpy() for name, x in self.state._asdict().items()}

    def restore(self, arrays: Arrays) -> None:
        """Takes up a `snapshot`. Raises CheckpointError where it is not one of such agents."""
        self.state = State(
            *(
                tf.constant(field(arrays, name, np.float32, x.shape))
                for name, x in self.state._asdict().items()
            )
        )

    def act_greedily(self, agent: int, observation: NDArray[Any]) -> int:
        """The action that one agent's policy likes best for one encoded observation."""
        weights = self.state.averaged.numpy()[agent : agent + 1]
        network = self.architecture.unpack(weights)["actor"]
        logits = forward(network, observation[None, None], self.architecture.convolutions)
        return int(logits.argmax())

    def value_scale(self, agent: int) -> float:
        return self._hyperparameters[agent].value_scale

    def update(
        self, rollout: Rollout, remaining: NDArray[np.float64], active: NDArray[np.bool_]
    ) -> Update:
        """Learns from one rollout; the arguments are those of `compute_update`."""
        self.state, update = self._update(
            self.state, rollout, tf.constant(remaining, tf.float32), tf.constant(active)
        )
        return update

    def compute_update(
        self, state: State, rollout: Rollout, remaining: tf.Tensor, active: tf.Tensor
    ) -> tuple[State, Update]:
        """The state after learning from one rollout: a pure function, to be compiled.

        Args:
            remaining: `[P]`, the share of the agent's steps that lie ahead, for the learning rate.
            active: `[P]` bool; the others stay as they are.
        """
        gradients, losses = self._gradients(state.weights, rollout)
        norm = tf.norm(gradients, axis=1, keepdims=True)
        finite = tf.math.is_finite(norm) & tf.math.is_finite(losses.total)
        learned = self._optimiser.step(state, gradients, norm, remaining[:, tf.newaxis])
        kept = active[:, tf.newaxis] & finite
        after = State(*(tf.where(kept, new, old) for new, old in zip(learned, state, strict=True)))
        return after, Update(tf.concat([*losses, norm], axis=1), finite[:, 0] | ~active)

    def _gradients(self, weights: tf.Tensor, rollout: Rollout) -> tuple[tf.Tensor, Losses]:
        """Gradients `[P, size]` of the summed losses: agents share no weights, so each its own."""
        steps, agents, _ = rollout.mask.shape
        chunk = CHUNK_STEPS if self._algorithm.whole_episodes else steps
        networks = self.architecture.unpack(weights)
        values = self._values(networks, rollout.observations)
        next_values = self._values(networks, rollout.next_observations)
        targets = self._algorithm.targets(rollout, values, next_values, self._coefficients)
        live = tf.reduce_sum(rollout.mask, axis=(0, 2), keepdims=True)
        shares = rollout.mask / tf.maximum(live, 1)
        rows = Batch(rollout.actions, targets.advantages, targets.returns, shares)
        observations = _agent_major(rollout.observations, chunk)
        batch = [_agent_major(tf.stop_gradient(field), chunk) for field in rows]

        def of_chunk(index: Any) -> tuple[tf.Tensor, Losses]:
            with tf.GradientTape() as tape:
                tape.watch(weights)
                current = self.architecture.unpack(weights)
                x = observations[index]
                losses = self._algorithm.loss(
                    self._forward(current["actor"], x),
                    self._value(current, x),
                    Batch(*(field[index] for field in batch)),
                    self._coefficients,
                )
            return tape.gradient(losses.total, weights), losses

        if steps == chunk:
            return of_chunk(0)
        longest = tf.reduce_max(tf.reduce_sum(rollout.mask, axis=0))
        chunks = tf.cast(tf.math.ceil(longest / chunk), tf.int32)
        nothing = Losses(*[tf.zeros((agents, 1))] * len(Losses._fields))
        return tf.while_loop(
            lambda index, _: index < chunks,
            lambda index, total: (
                index + 1,
                tf.nest.map_structure(tf.add, total, of_chunk(index)),
            ),
            (tf.constant(0), (tf.zeros_like(weights), nothing)),
        )[1]

    def _forward(self, network: Network, x: tf.Tensor) -> tf.Tensor:
        return forward(network, x, self.architecture.convolutions)

    def _value(self, networks: dict[str, Network], x: tf.Tensor) -> tf.Tensor:
        """V(s), `[P, B]`; zeros without a critic."""
        if not self._algorithm.critic:
            return tf.zeros(x.shape[:2])
        return self._forward(networks["critic"], x)[..., 0] * self._coefficients.value_scale

    def _values(self, networks: dict[str, Network], observations: tf.Tensor) -> tf.Tensor:
        """V(s) of time-major observations, `[T, P, N]`."""
        steps, agents, envs = observations.shape[:3]
        values = self._value(networks, _agent_major(observations, steps)[0])
        return tf.transpose(tf.reshape(values, [agents, steps, envs]), [1, 0, 2])


class Optimiser(NamedTuple):
    """Adam (Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980) after clipping, `[P, 1]` each.

    Keras' optimisers know no stack: here each agent has its own norm, step size and count.
    """

    linear_decay: tf.Tensor  # bool, whether the step size falls with what remains
    learning_rate: tf.Tensor
    max_gradient_norm: tf.Tensor
    adam_beta_1: tf.Tensor
    adam_beta_2: tf.Tensor
    adam_epsilon: tf.Tensor
    averaging: tf.Tensor

    def step(
        self, state: State, gradients: tf.Tensor, norm: tf.Tensor, remaining: tf.Tensor
    ) -> State:
        """The state after one update; `norm` of the gradients and `remaining` are `[P, 1]`."""
        rates = self.learning_rate * tf.where(self.linear_decay, remaining, 1.0)
        beta_1, beta_2, count = self.adam_beta_1, self.adam_beta_2, state.updates + 1
        gradients *= tf.minimum(1.0, self.max_gradient_norm / tf.maximum(norm, 1e-12))
        first = beta_1 * state.first_moments + (1 - beta_1) * gradients
        second = beta_2 * state.second_moments + (1 - beta_2) * tf.square(gradients)
        unbiased_first, unbiased_second = first / (1 - beta_1**count), second / (1 - beta_2**count)
        steps = unbiased_first / (tf.sqrt(unbiased_second) + self.adam_epsilon)
        weights = state.weights - rates * steps
        # Corrected for its start, as Adam's moments are: the first weights do not linger.
        beta = self.averaging
        kept = beta * (1 - beta ** (count - 1)) / (1 - beta**count)
        averaged = kept * state.averaged + (1 - kept) * weights
        return State(weights, averaged, first, second, count)


def _columns(hyperparameters: Sequence[Hyperparameters], names: Sequence[str]) -> list[tf.Tensor]:
    """A column `[P, 1]` for each setting of that name."""
    return [
        tf.constant([[getattr(h, name)] for h in hyperparameters], tf.float32) for name in names
    ]


def _agent_major(x: tf.Tensor, chunk: int) -> tf.Tensor:
    """`[T, P, N, ...]` to `[T / chunk, P, chunk * N, ...]`."""
    steps, agents, envs, *rest = x.shape
    x = tf.reshape(x, [steps // chunk, chunk, agents, envs, *rest])
    x = tf.transpose(x, [0, 2, 1, *range(3, 4 + len(rest))])
    return tf.reshape(x, [steps // chunk, agents, chunk * envs, *rest])
