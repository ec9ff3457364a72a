"""One update of many agents at once: losses, gradients and an optimizer step. Pure, compiled.

More than 250 lines, since an update in chunks and one in minibatches share one rule and its
tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.agents.algorithms import (
    ALGORITHMS,
    Batch,
    Coefficients,
    Losses,
    Targets,
    log_likelihood,
)
from trainer.agents.minibatches import Minibatch, Minibatching, Passes, flatten, minibatch
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
    """The hyperparameters of an update, a row for each agent."""

    coefficients: Coefficients
    adam: Adam
    minibatching: Minibatching


def settings(hyperparameters: Sequence[Hyperparameters]) -> Settings:
    """The settings of agents whose networks have the same shape."""
    decay = [[h.learning_rate_decay == "linear"] for h in hyperparameters]
    return Settings(
        Coefficients(*_columns(hyperparameters, Coefficients._fields)),
        Adam(tf.constant(decay), *_columns(hyperparameters, Adam._fields[1:])),
        Minibatching(*_columns(hyperparameters, Minibatching._fields, tf.int32)),
    )


class Rule:
    """A learning rule, for networks of one shape."""

    def __init__(
        self,
        algorithm: str,
        architecture: Architecture,
        chunk_steps: int | None = None,
        passes: Passes | None = None,
    ) -> None:
        """A learning rule, specialised to the shapes of one program.

        Args:
            chunk_steps: how many time steps pass through the networks at once; None: all. With
                chunks, steps that are padding for every agent are not computed.
            passes: the inner loop of a rule with minibatches.
        """
        self.algorithm, self.architecture = ALGORITHMS[algorithm], architecture
        self._chunk_steps = chunk_steps
        self._passes = passes if self.algorithm.minibatches else None

    def update(
        self,
        settings: Settings,
        state: State,
        rollout: Rollout,
        remaining: tf.Tensor,
        active: tf.Tensor,
        orders: tf.Tensor,
    ) -> tuple[State, Update]:
        """The state after learning from one rollout.

        Args:
            remaining: `[P]`, the fraction of the agent's steps to come, for the learning rate.
            active: `[P]` bool; other agents are not changed.
            orders: `[P, epochs, B]` int32, permutations of the transitions; only a rule with
                minibatches reads them.
        """
        if self._passes is None:
            gradients, losses = self.gradients(settings.coefficients, state.weights, rollout)
            return _descend(settings, state, gradients, losses, remaining, active)
        return self._minibatches(settings, state, rollout, remaining, active, orders)

    def gradients(
        self, coefficients: Coefficients, weights: tf.Tensor, rollout: Rollout
    ) -> tuple[tf.Tensor, Losses]:
        """Gradients `[P, size]` of each agent's loss over a rollout."""
        targets = self._targets(coefficients, weights, rollout)
        chunk = self._chunk_steps or rollout.mask.shape[0]
        live = tf.reduce_sum(rollout.mask, axis=(0, 2), keepdims=True)
        shares = rollout.mask / tf.maximum(live, 1)
        rows = (rollout.actions, targets.advantages, targets.returns, shares)
        observations = agent_major(rollout.observations, chunk)
        batch = [agent_major(tf.stop_gradient(field), chunk) for field in rows]

        def of_chunk(index: Any) -> tuple[tf.Tensor, Losses]:
            chosen = Batch(*(field[index] for field in batch))
            return self._step(coefficients, weights, observations[index], chosen)

        no_losses = Losses(*[tf.zeros((live.shape[1], 1))] * len(Losses._fields))
        return self._total(of_chunk, (tf.zeros_like(weights), no_losses), rollout)

    def _targets(self, coefficients: Coefficients, weights: tf.Tensor, rollout: Rollout) -> Targets:
        steps, agents, envs = rollout.mask.shape
        chunk = self._chunk_steps or steps

        def values(observations: tf.Tensor) -> tf.Tensor:
            """V(s), `[T, P, N]`; zeros without a critic, and in chunks that no agent fills."""
            nothing = tf.zeros((steps // chunk, agents, chunk * envs))
            if not self.algorithm.critic:
                return tf.reshape(nothing, (steps, agents, envs))
            x, critic = agent_major(observations, chunk), self.architecture.unpack(weights)
            one_hot = tf.eye(steps // chunk)[..., tf.newaxis, tf.newaxis]
            found = self._total(
                lambda i: one_hot[i] * self._value(critic, x[i], coefficients), nothing, rollout
            )
            return time_major(found, envs)

        return self.algorithm.targets(
            rollout, values(rollout.observations), values(rollout.next_observations), coefficients
        )

    def _total(self, of_chunk: Callable[[Any], Any], nothing: Any, rollout: Rollout) -> Any:
        """The sum of any structure of tensors over the chunks that an agent fills."""
        steps = rollout.mask.shape[0]
        chunk = self._chunk_steps or steps
        if steps == chunk:
            return of_chunk(0)
        chunks = tf.cast(tf.math.ceil(rollout.longest / chunk), tf.int32)
        return tf.while_loop(
            lambda index, _: index < chunks,
            lambda index, so_far: (
                index + 1,
                tf.nest.map_structure(tf.add, so_far, of_chunk(index)),
            ),
            (tf.constant(0), nothing),
        )[1]

    def _minibatches(
        self,
        settings: Settings,
        state: State,
        rollout: Rollout,
        remaining: tf.Tensor,
        active: tf.Tensor,
        orders: tf.Tensor,
    ) -> tuple[State, Update]:
        """Epochs of gradient steps, one for each minibatch; agents may do fewer than others."""
        assert self._passes is not None
        targets = self._targets(settings.coefficients, state.weights, rollout)
        passes, each = self._passes, settings.minibatching
        observations, actions, advantages, returns = map(
            flatten,
            (rollout.observations, rollout.actions, targets.advantages, targets.returns),
        )
        actor = self.architecture.unpack(state.weights)["actor"]
        log_policy = tf.nn.log_softmax(self._forward(actor, observations))
        weights = tf.ones_like(returns)
        rows = Batch(actions, advantages, returns, weights, log_likelihood(log_policy, actions))
        live = tf.cast(tf.reduce_sum(rollout.mask, axis=(0, 2)), tf.int32)[:, tf.newaxis]

        def at(index: tf.Tensor) -> Minibatch:
            return minibatch(index, passes, each, orders, live)

        def learns(index: tf.Tensor, finite: tf.Tensor) -> tf.Tensor:
            return active & finite & at(index).wanted

        def step(index: Any, state: State, sums: tf.Tensor, counts: Any, finite: Any) -> Any:
            chosen, learning = at(index), learns(index, finite)
            batch = Batch(*(tf.gather(field, chosen.rows, axis=1, batch_dims=1) for field in rows))
            batch = batch._replace(weights=chosen.weights)
            x = tf.gather(observations, chosen.rows, axis=1, batch_dims=1)
            gradients, losses = self._step(settings.coefficients, state.weights, x, batch)
            state, update = _descend(settings, state, gradients, losses, remaining, learning)
            kept = (learning & update.finite)[:, tf.newaxis]
            return (
                index + 1,
                state,
                sums + tf.where(kept, update.metrics, 0.0),
                counts + tf.cast(kept, tf.float32),
                finite & update.finite,
            )

        agents = state.weights.shape[0]
        _, state, sums, counts, finite = tf.while_loop(
            lambda index, _state, _sums, _counts, finite: tf.reduce_any(learns(index, finite)),
            step,
            (
                tf.constant(0),
                state,
                tf.zeros((agents, len(METRICS))),
                tf.zeros((agents, 1)),
                tf.ones(agents, tf.bool),
            ),
        )
        return state, Update(sums / tf.maximum(counts, 1), finite | ~active)

    def _step(
        self, coefficients: Coefficients, weights: tf.Tensor, x: tf.Tensor, batch: Batch
    ) -> tuple[tf.Tensor, Losses]:
        """Gradients `[P, size]` and losses of transitions `[P, B]` with observations `x`."""
        with tf.GradientTape() as tape:
            tape.watch(weights)
            current = self.architecture.unpack(weights)
            losses = self.algorithm.loss(
                self._forward(current["actor"], x),
                self._value(current, x, coefficients),
                batch,
                coefficients,
            )
        return tape.gradient(losses.total, weights), losses

    def _forward(self, network: Network, x: tf.Tensor) -> tf.Tensor:
        return forward(network, x, self.architecture.convolutions)

    def _value(
        self, networks: dict[str, Network], x: tf.Tensor, coefficients: Coefficients
    ) -> tf.Tensor:
        """V(s), `[P, B]`; zeros without a critic."""
        if not self.algorithm.critic:
            return tf.zeros(x.shape[:2])
        return self._forward(networks["critic"], x)[..., 0] * coefficients.value_scale


def _columns(
    hyperparameters: Sequence[Hyperparameters], names: Sequence[str], dtype: Any = tf.float32
) -> list[tf.Tensor]:
    """A column `[P, 1]` for each of these hyperparameters."""
    return [tf.constant([[getattr(h, name)] for h in hyperparameters], dtype) for name in names]


def _descend(
    settings: Settings,
    state: State,
    gradients: tf.Tensor,
    losses: Losses,
    remaining: tf.Tensor,
    active: tf.Tensor,
) -> tuple[State, Update]:
    """One optimizer step of the active agents whose numbers are finite."""
    norm = tf.norm(gradients, axis=1, keepdims=True)
    finite = tf.math.is_finite(norm) & tf.math.is_finite(losses.total)
    learned = settings.adam.step(state, gradients, norm, remaining[:, tf.newaxis])
    kept = active[:, tf.newaxis] & finite
    after = State(*(tf.where(kept, new, old) for new, old in zip(learned, state, strict=True)))
    return after, Update(tf.concat([*losses, norm], axis=1), finite[:, 0] | ~active)


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
