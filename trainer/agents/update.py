"""One update of a stack of agents: losses, gradients, clipping, Adam. Pure, to be compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.agents.algorithms import ALGORITHMS, Batch, Coefficients, Losses
from trainer.agents.networks import Architecture, Network, forward
from trainer.agents.rollout import Rollout
from trainer.contract.settings import Hyperparameters

# The last is measured before clipping.
METRICS = ("total_loss", "policy_loss", "value_loss", "entropy", "gradient_norm")
CHUNK_STEPS = 64  # long rollouts go through the networks this many time steps at a time


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


class Settings(NamedTuple):
    """What an update reads of the agents' hyperparameters, a row each."""

    coefficients: Coefficients
    optimiser: Optimiser


def settings(hyperparameters: Sequence[Hyperparameters]) -> Settings:
    """The settings of agents that may differ in every one of them."""
    decay = [[h.learning_rate_decay == "linear"] for h in hyperparameters]
    return Settings(
        Coefficients(*_columns(hyperparameters, Coefficients._fields)),
        Optimiser(tf.constant(decay), *_columns(hyperparameters, Optimiser._fields[1:])),
    )


class Rule:
    """A learning rule, for networks of one shape."""

    def __init__(
        self, algorithm: str, architecture: Architecture, chunk_steps: int | None = None
    ) -> None:
        """`chunk_steps`: how many time steps go through the networks at once; None: all.

        In chunks a rollout costs no more than its longest agent has filled of it.
        """
        self.algorithm, self.architecture = ALGORITHMS[algorithm], architecture
        self._chunk_steps = chunk_steps

    def update(
        self,
        settings: Settings,
        state: State,
        rollout: Rollout,
        remaining: tf.Tensor,
        active: tf.Tensor,
    ) -> tuple[State, Update]:
        """The state after learning from one rollout.

        Args:
            remaining: `[P]`, the share of the agent's steps that lie ahead, for the learning rate.
            active: `[P]` bool; the others stay as they are.
        """
        gradients, losses = self.gradients(settings.coefficients, state.weights, rollout)
        norm = tf.norm(gradients, axis=1, keepdims=True)
        finite = tf.math.is_finite(norm) & tf.math.is_finite(losses.total)
        learned = settings.optimiser.step(state, gradients, norm, remaining[:, tf.newaxis])
        kept = active[:, tf.newaxis] & finite
        after = State(*(tf.where(kept, new, old) for new, old in zip(learned, state, strict=True)))
        return after, Update(tf.concat([*losses, norm], axis=1), finite[:, 0] | ~active)

    def gradients(
        self, coefficients: Coefficients, weights: tf.Tensor, rollout: Rollout
    ) -> tuple[tf.Tensor, Losses]:
        """Gradients `[P, size]` of the summed losses: agents share no weights, so each its own."""
        steps, agents, envs = rollout.mask.shape
        chunk = self._chunk_steps or steps
        chunks = tf.cast(tf.math.ceil(rollout.longest / chunk), tf.int32)

        def total(of_chunk: Callable[[Any], Any], nothing: Any) -> Any:
            """The sum of what all chunks give, whatever it is made of."""
            if steps == chunk:
                return of_chunk(0)
            return tf.while_loop(
                lambda index, _: index < chunks,
                lambda index, so_far: (
                    index + 1,
                    tf.nest.map_structure(tf.add, so_far, of_chunk(index)),
                ),
                (tf.constant(0), nothing),
            )[1]

        def values(observations: tf.Tensor) -> tf.Tensor:
            """V(s), `[T, P, N]`; zeros without a critic, and in chunks that nobody has come to."""
            nothing = tf.zeros((steps // chunk, agents, chunk * envs))
            if not self.algorithm.critic:
                return tf.reshape(nothing, (steps, agents, envs))
            x, critic = agent_major(observations, chunk), self.architecture.unpack(weights)
            places = tf.eye(steps // chunk)[..., tf.newaxis, tf.newaxis]
            found = total(lambda i: places[i] * self._value(critic, x[i], coefficients), nothing)
            return time_major(found, envs)

        targets = self.algorithm.targets(
            rollout, values(rollout.observations), values(rollout.next_observations), coefficients
        )
        live = tf.reduce_sum(rollout.mask, axis=(0, 2), keepdims=True)
        shares = rollout.mask / tf.maximum(live, 1)
        rows = Batch(rollout.actions, targets.advantages, targets.returns, shares)
        observations = agent_major(rollout.observations, chunk)
        batch = [agent_major(tf.stop_gradient(field), chunk) for field in rows]

        def of_chunk(index: Any) -> tuple[tf.Tensor, Losses]:
            with tf.GradientTape() as tape:
                tape.watch(weights)
                current = self.architecture.unpack(weights)
                x = observations[index]
                losses = self.algorithm.loss(
                    self._forward(current["actor"], x),
                    self._value(current, x, coefficients),
                    Batch(*(field[index] for field in batch)),
                    coefficients,
                )
            return tape.gradient(losses.total, weights), losses

        no_losses = Losses(*[tf.zeros((agents, 1))] * len(Losses._fields))
        return total(of_chunk, (tf.zeros_like(weights), no_losses))

    def _forward(self, network: Network, x: tf.Tensor) -> tf.Tensor:
        return forward(network, x, self.architecture.convolutions)

    def _value(
        self, networks: dict[str, Network], x: tf.Tensor, coefficients: Coefficients
    ) -> tf.Tensor:
        """V(s), `[P, B]`; zeros without a critic."""
        if not self.algorithm.critic:
            return tf.zeros(x.shape[:2])
        return self._forward(networks["critic"], x)[..., 0] * coefficients.value_scale


def _columns(hyperparameters: Sequence[Hyperparameters], names: Sequence[str]) -> list[tf.Tensor]:
    """A column `[P, 1]` for each setting of that name."""
    return [
        tf.constant([[getattr(h, name)] for h in hyperparameters], tf.float32) for name in names
    ]


def agent_major(x: tf.Tensor, chunk: int) -> tf.Tensor:
    """`[T, P, N, ...]` to `[T / chunk, P, chunk * N, ...]`."""
    steps, agents, envs, *rest = x.shape
    x = tf.reshape(x, [steps // chunk, chunk, agents, envs, *rest])
    x = tf.transpose(x, [0, 2, 1, *range(3, 4 + len(rest))])
    return tf.reshape(x, [steps // chunk, agents, chunk * envs, *rest])


def time_major(x: tf.Tensor, envs: int) -> tf.Tensor:
    """`[T / chunk, P, chunk * N]` to `[T, P, N]`: the way back."""
    chunks, agents, rows = x.shape
    x = tf.transpose(tf.reshape(x, [chunks, agents, rows // envs, envs]), [0, 2, 1, 3])
    return tf.reshape(x, [chunks * rows // envs, agents, envs])
