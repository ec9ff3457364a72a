"""Rounds of collecting and updating fused into one program: a pure function, compiled by XLA."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.update import METRICS, Rule, Settings, State
from trainer.rollouts.simulation import CartPoleState, Simulation, Tape


class Schedule(NamedTuple):
    """Who learns, how far, and in rollouts of how many steps."""

    training: tf.Tensor  # [P] bool
    until: tf.Tensor  # [P] int64, where an agent waits for others, in its own steps
    total_steps: tf.Tensor  # [P] int64, what the learning rate falls over
    lengths: tf.Tensor  # [P] int32, at most the simulation's


class Rounds(NamedTuple):
    """Where agents stand between two rounds."""

    agents: State
    environments: CartPoleState
    steps: tf.Tensor  # [P] int64
    taken: tf.Tensor  # [P] int64, rounds of each agent in this program
    metrics: tf.Tensor  # [P, len(METRICS)] float32
    finite: tf.Tensor  # [P] bool

    @staticmethod
    def begin(agents: State, environments: CartPoleState, steps: NDArray[np.int64]) -> Rounds:
        """Before the first."""
        return Rounds(
            agents,
            environments,
            tf.constant(steps),
            tf.zeros(len(steps), tf.int64),
            tf.zeros((len(steps), len(METRICS))),
            tf.ones(len(steps), tf.bool),
        )


class Program(NamedTuple):
    """A rule and a simulation of one shape."""

    rule: Rule
    simulation: Simulation

    def rounds(self, settings: Settings, start: Rounds, tape: Tape, schedule: Schedule) -> Rounds:
        """Rounds until every agent is done or at the tape's end; an agent does whole ones only."""
        room = tape.acting.shape[1]

        def active(now: Rounds) -> tf.Tensor:
            ahead = (tf.cast(now.taken, tf.int32) + 1) * schedule.lengths
            training = schedule.training & now.finite & (now.steps < schedule.until)
            return training & (ahead <= room)

        def next_round(now: Rounds) -> tuple[Rounds]:
            learning = active(now)
            environments, rollout = self.simulation.rollout(
                now.agents.weights,
                now.environments,
                tape,
                tf.cast(now.taken, tf.int32),
                learning,
                schedule.lengths,
            )
            remaining = tf.cast(tf.maximum(1 - now.steps / schedule.total_steps, 0), tf.float32)
            agents, update = self.rule.update(settings, now.agents, rollout, remaining, learning)
            after = Rounds(
                agents,
                environments,
                now.steps + tf.cast(tf.reduce_sum(rollout.mask, axis=(0, 2)), tf.int64),
                now.taken + tf.cast(learning, tf.int64),
                tf.where(learning[:, tf.newaxis], update.metrics, now.metrics),
                now.finite & update.finite,
            )
            return (after,)

        return tf.while_loop(lambda now: tf.reduce_any(active(now)), next_round, (start,))[0]
