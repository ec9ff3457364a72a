"""Rounds of collecting and updating as one pure function, which XLA compiles as one program."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.optimizer import State
from trainer.agents.update import METRICS, Rule, Settings
from trainer.rollouts.simulation import CartPoleState, Simulation, Tape


class Schedule(NamedTuple):
    """Which agents learn, up to how many steps, and the length of their rollouts."""

    training: tf.Tensor  # [P] bool
    until: tf.Tensor  # [P] int64, the agent's steps at which it waits for the others
    total_steps: tf.Tensor  # [P] int64, over which the learning rate decays
    lengths: tf.Tensor  # [P] int32, at most the simulation's own
    orders: tf.Tensor  # [P, rollouts, epochs, B] int32, see `Rule.update`; epochs may be 0


class Rounds(NamedTuple):
    """The state of agents and environments between two rounds."""

    agents: State
    environments: CartPoleState
    steps: tf.Tensor  # [P] int64
    taken: tf.Tensor  # [P] int64, rounds of each agent in this call
    metrics: tf.Tensor  # [P, len(METRICS)] float32
    finite: tf.Tensor  # [P] bool

    @staticmethod
    def begin(agents: State, environments: CartPoleState, steps: NDArray[np.int64]) -> Rounds:
        """The state before the first round of a call."""
        return Rounds(
            agents,
            environments,
            tf.constant(steps),
            tf.zeros(len(steps), tf.int64),
            tf.zeros((len(steps), len(METRICS))),
            tf.ones(len(steps), tf.bool),
        )


class Program(NamedTuple):
    """A learning rule and a simulation for networks of one shape."""

    rule: Rule
    simulation: Simulation

    def rounds(self, settings: Settings, start: Rounds, tape: Tape, schedule: Schedule) -> Rounds:
        """Rounds until every agent has its steps, or the tape's numbers are used up."""
        room = tape.acting.shape[1]

        def active(now: Rounds) -> tf.Tensor:
            ahead = (tf.cast(now.taken, tf.int32) + 1) * schedule.lengths
            training = schedule.training & now.finite & (now.steps < schedule.until)
            if self.rule.algorithm.minibatches:
                training &= now.taken < schedule.orders.shape[1]
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
            last = schedule.orders.shape[1] - 1
            orders = tf.gather(schedule.orders, tf.minimum(now.taken, last), axis=1, batch_dims=1)
            agents, update = self.rule.update(
                settings, now.agents, rollout, remaining, learning, orders
            )
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
