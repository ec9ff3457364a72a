"""One update of many agents at once: losses, gradients and an optimizer step. Pure, compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.agents.algorithms import ALGORITHMS, Batch, Coefficients, Losses
from trainer.agents.networks import Architecture, Network, forward
from trainer.agents.optimizer import Adam, State
from trainer.agents.rollout import Rollout
from trainer.contract.settings import Hyperparameters

# The gradient norm is measured before clipping.
METRICS = ("total_loss", "policy_loss", "value_loss", "entropy", "gradient_norm")
CHUNK_STEPS = 64  # long rollouts pass through the networks this many time steps at a time


class Update(NamedTuple):
    """What one update did, a row for each agent."""

    metrics: tf.Tensor  # [P, len(METRICS)] float32
    finite: (
        tf.Tensor
    )  # [P] bool; False where an active agent was not updated: a number was not finite


class Settings(NamedTuple):
    """What an update needs of the hyperparameters, a row for each agent."""

    coefficients: Coefficients
    adam: Adam


def settings(hyperparameters: Sequence[Hyperparameters]) -> Settings:
    """The settings of agents that may differ in every hyperparameter but the widths."""
    decay = [[h.learning_rate_decay == "linear"] for h in hyperparameters]
    return Settings(
        Coefficients(*_columns(hyperparameters, Coefficients._fields)),
        Adam(tf.constant(decay), *_columns(hyperparameters, Adam._fields[1:])),
    )


class Rule:
    """A learning rule, for networks of one shape."""

    def __init__(
        self, algorithm: str, architecture: Architecture, chunk_steps: int | None = None
    ) -> None:
        """`chunk_steps`: how many time steps pass through the networks at once; None: all.

        In chunks, a rollout costs only as much as the longest agent has filled of it.
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
            active: `[P]` bool; other agents are not changed.
        """
        gradients, losses = self.gradients(settings.coefficients, state.weights, rollout)
        norm = tf.norm(gradients, axis=1, keepdims=True)
        finite = tf.math.is_finite(norm) & tf.math.is_finite(losses.total)
        learned = settings.adam.step(state, gradients, norm, remaining[:, tf.newaxis])
        kept = active[:, tf.newaxis] & finite
        after = State(*(tf.where(kept, new, old) for new, old in zip(learned, state, strict=True)))
        return after, Update(tf.concat([*losses, norm], axis=1), finite[:, 0] | ~active)

    def gradients(
        self, coefficients: Coefficients, weights: tf.Tensor, rollout: Rollout
    ) -> tuple[tf.Tensor, Losses]:
        """Gradients `[P, size]` of the summed losses, each agent's own: they share no weights."""
        steps, agents, envs = rollout.mask.shape
        chunk = self._chunk_steps or steps
        chunks = tf.cast(tf.math.ceil(rollout.longest / chunk), tf.int32)

        def total(of_chunk: Callable[[Any], Any], nothing: Any) -> Any:
            """The sum over all chunks of any structure of tensors."""
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
            """V(s), `[T, P, N]`; zeros without a critic, and in chunks that no agent fills."""
            nothing = tf.zeros((steps // chunk, agents, chunk * envs))
            if not self.algorithm.critic:
                return tf.reshape(nothing, (steps, agents, envs))
            x, critic = agent_major(observations, chunk), self.architecture.unpack(weights)
            one_hot = tf.eye(steps // chunk)[..., tf.newaxis, tf.newaxis]
            found = total(lambda i: one_hot[i] * self._value(critic, x[i], coefficients), nothing)
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
    """A column `[P, 1]` for each of these hyperparameters."""
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
    """The inverse: `[T / chunk, P, chunk * N]` to `[T, P, N]`."""
    chunks, agents, rows = x.shape
    x = tf.transpose(tf.reshape(x, [chunks, agents, rows // envs, envs]), [0, 2, 1, 3])
    return tf.reshape(x, [chunks * rows // envs, agents, envs])
