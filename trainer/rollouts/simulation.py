"""CartPole and the policies of several agents, as pure functions that XLA compiles."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.networks import Architecture, forward
from trainer.agents.rollout import Rollout
from trainer.environments import cartpole
from trainer.rollouts.collector import choose


class CartPoleState(NamedTuple):
    """The state of the environments."""

    physics: tf.Tensor  # [P, N, 4] float64
    elapsed: tf.Tensor  # [P, N] int32, steps since the reset


class Tape(NamedTuple):
    """Random numbers for some rollouts. Each agent reads at its own position."""

    acting: Any  # [P, K, N] float32 in [0, 1)
    resets: Any  # [P, K or rollouts, N, 4] float32 in [0, 1), for a reset at that step or rollout


class Simulation:
    """CartPole with policies of one shape, for rollouts of at most `steps` steps."""

    def __init__(
        self, task: cartpole.CartPole, architecture: Architecture, steps: int | None
    ) -> None:
        """If `steps` is None, a rollout is one complete episode in each environment."""
        self.task, self._architecture = task, architecture
        self.whole_episodes = steps is None
        self.steps = -(-task.max_episode_steps // 64) * 64 if steps is None else steps

    def rollout(
        self,
        weights: tf.Tensor,
        state: CartPoleState,
        tape: Tape,
        rollouts: tf.Tensor,
        active: tf.Tensor,
        lengths: tf.Tensor,
    ) -> tuple[CartPoleState, Rollout]:
        """One rollout, and the state of the environments after it.

        If an agent is not `active`, or has taken its steps, its rows are masked and its
        environments do not move.

        Args:
            rollouts: `[P]` int32, the rollouts of each agent that were read from the tape.
            active: `[P]` bool.
            lengths: `[P]` int32, the steps of each agent's rollouts.
        """
        policy = self._architecture.unpack(weights)["actor"]
        shape = tuple(state.elapsed.shape)
        start = rollouts * lengths
        alive = tf.broadcast_to(active[:, tf.newaxis], shape)
        if self.whole_episodes:
            fresh = first_states(_at(tape.resets, rollouts))
            state = CartPoleState(
                tf.where(alive[..., tf.newaxis], fresh, state.physics),
                tf.where(alive, 0, state.elapsed),
            )
        types = {"observations": tf.float32, "actions": tf.int32, "next_observations": tf.float32}
        columns = Rollout(
            *(
                tf.TensorArray(
                    types.get(name, tf.float32),
                    self.steps,
                    element_shape=(*shape, 4) if "observations" in name else shape,
                )
                for name in Rollout._fields
            )
        )

        def body(t: tf.Tensor, state: CartPoleState, alive: tf.Tensor, columns: Rollout) -> Any:
            observations = tf.cast(state.physics, tf.float32)
            actions = choose(forward(policy, observations, ()), _at(tape.acting, start + t))
            physics = cartpole.step(state.physics, actions)
            elapsed = state.elapsed + 1
            fallen = cartpole.has_fallen(physics) & alive
            late = (elapsed >= self.task.max_episode_steps) & alive & ~fallen
            row = Rollout(
                observations,
                actions,
                tf.cast(alive, tf.float32),
                tf.cast(physics, tf.float32),
                tf.cast(fallen, tf.float32),
                tf.cast(late, tf.float32),
                tf.cast(alive, tf.float32),
            )
            columns = Rollout(*(c.write(t, x) for c, x in zip(columns, row, strict=True)))
            ended = fallen | late
            if not self.whole_episodes:
                fresh = first_states(_at(tape.resets, start + t))
                physics = tf.where(ended[..., tf.newaxis], fresh, physics)
                elapsed = tf.where(ended, 0, elapsed)
            after = CartPoleState(
                tf.where(alive[..., tf.newaxis], physics, state.physics),
                tf.where(alive, elapsed, state.elapsed),
            )
            alive &= ~ended if self.whole_episodes else (t + 1 < lengths)[:, tf.newaxis]
            return t + 1, after, alive, columns

        _, state, _, columns = tf.while_loop(
            lambda t, state, alive, columns: (t < self.steps) & tf.reduce_any(alive),
            body,
            (tf.constant(0), state, alive, columns),
        )
        return state, Rollout(*(column.stack() for column in columns))

    def play(
        self, weights: tf.Tensor, resets: tf.Tensor, uniforms: tf.Tensor, sampled: tf.Tensor
    ) -> tf.Tensor:
        """Returns `[P, episodes]` float32 of one episode from each of `resets`.

        Args:
            resets: `[P, episodes, 4]`, random numbers in [0, 1) that determine the first states.
            uniforms: `[P, max_episode_steps, episodes]`, random numbers for agents that are
                `sampled`; empty if none is.
            sampled: `[P]` bool; the other agents act greedily.
        """
        policy = self._architecture.unpack(weights)["actor"]
        physics = first_states(resets)
        alive = tf.ones(physics.shape[:-1], tf.bool)

        def body(t: tf.Tensor, physics: tf.Tensor, alive: tf.Tensor, returns: tf.Tensor) -> Any:
            logits = forward(policy, tf.cast(physics, tf.float32), ())
            actions = tf.argmax(logits, axis=-1, output_type=tf.int32)
            if uniforms.shape[2]:
                drawn = choose(logits, uniforms[:, t])
                actions = tf.where(sampled[:, tf.newaxis], drawn, actions)
            physics = cartpole.step(physics, actions)
            returns += tf.cast(alive, tf.float32)
            return t + 1, physics, alive & ~cartpole.has_fallen(physics), returns

        return tf.while_loop(
            lambda t, physics, alive, returns: (
                (t < self.task.max_episode_steps) & tf.reduce_any(alive)
            ),
            body,
            (tf.constant(0), physics, alive, tf.zeros(alive.shape)),
        )[3]


def first_states(uniforms: tf.Tensor | NDArray[np.float32]) -> tf.Tensor:
    """States after a reset, `[..., 4]` float64, from as many uniform numbers."""
    return (2 * tf.cast(uniforms, tf.float64) - 1) * cartpole.RESET_RANGE


def _at(values: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """Each agent's row `[P, ...]` of `values` `[P, K, ...]`, at its own position `[P]`."""
    return tf.gather(values, positions, axis=1, batch_dims=1)
