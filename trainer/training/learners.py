"""Learners: rounds of collecting and updating, one at a time or many in one compiled program."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.population import Agents
from trainer.rollouts.collector import Collector
from trainer.rollouts.compiled_collector import CompiledCollector
from trainer.rollouts.simulation import Tape
from trainer.training.fused_rounds import Program, Rounds, Schedule

MAX_ROUNDS = 32  # in one program
MAX_DRAWS = 2**22  # random numbers handed to one program


class Learned(NamedTuple):
    """The result of some rounds, a row for each agent."""

    steps: NDArray[np.int64]  # [P] environment steps taken since the run began
    metrics: NDArray[np.float32]  # [P, len(METRICS)] of the last update; zeros without one
    finite: NDArray[np.bool_]  # [P] whether all numbers were finite


class Learner(Protocol):
    """Trains agents towards a number of steps."""

    def learn(self, steps: NDArray[np.int64], training: NDArray[np.bool_], until: int) -> Learned:
        """At least one round for each agent that is in `training` and has `steps` < `until`."""


class SteppedLearner:
    """One round per call, with any collector."""

    def __init__(self, agents: Agents, collector: Collector, total_steps: int) -> None:
        self._agents, self._collector, self._total_steps = agents, collector, total_steps

    def learn(self, steps: NDArray[np.int64], training: NDArray[np.bool_], until: int) -> Learned:
        active = training & (steps < until)
        rollout = self._collector.collect(self._agents.state.weights, active)
        remaining = np.maximum(1 - steps / self._total_steps, 0)
        orders = self._agents.orders(steps, active, 1, math.prod(rollout.mask.shape[::2]))
        update = self._agents.update(rollout, remaining, active, orders[:, 0])
        taken = np.asarray(rollout.mask).sum(axis=(0, 2)).astype(np.int64)
        return Learned(steps + taken, update.metrics.numpy(), update.finite.numpy())


class CompiledLearner:
    """Many rounds per call, with collector and update in one XLA program.

    A round of a small network takes less time than a call of a compiled program. So one agent
    learns three times as fast as with one round per call.
    """

    def __init__(self, agents: Agents, collector: CompiledCollector, total_steps: int) -> None:
        self._agents, self._collector, self._total_steps = agents, collector, total_steps
        draws = collector.draws_per_rollout
        if agents.passes is not None:
            draws += agents.passes.epochs * collector.transitions
        self._rounds = max(1, min(MAX_ROUNDS, MAX_DRAWS // (len(agents.hyperparameters) * draws)))
        self._program = Program(agents.rule, collector.simulation)
        settings = agents.settings  # a constant of this program

        def rounds(start: Rounds, tape: Tape, schedule: Schedule) -> Rounds:
            return self._program.rounds(settings, start, tape, schedule)

        self._compiled = tf.function(rounds, jit_compile=True, autograph=False)

    def learn(self, steps: NDArray[np.int64], training: NDArray[np.bool_], until: int) -> Learned:
        rounds = self._compiled(*self._inputs(steps, training, until))
        self._agents.state, self._collector.state = rounds.agents, rounds.environments
        self._collector.collected += rounds.taken.numpy()
        return Learned(rounds.steps.numpy(), rounds.metrics.numpy(), rounds.finite.numpy())

    def trace(self, steps: NDArray[np.int64], training: NDArray[np.bool_], until: int) -> None:
        """Builds the program's graph, which precedes compiling, and runs nothing."""
        self._compiled.get_concrete_function(*self._inputs(steps, training, until))

    def _inputs(
        self, steps: NDArray[np.int64], training: NDArray[np.bool_], until: int
    ) -> tuple[Rounds, Tape, Schedule]:
        agents, collector, active = len(steps), self._collector, training & (steps < until)
        tape = collector.blank(agents, self._rounds)
        collector.fill(tape, active, self._rounds)
        orders = self._agents.orders(steps, active, self._rounds, collector.transitions)
        schedule = Schedule(
            tf.constant(training),
            tf.fill([agents], tf.constant(until, tf.int64)),
            tf.fill([agents], tf.constant(self._total_steps, tf.int64)),
            tf.fill([agents], collector.simulation.steps),
            tf.constant(orders),
        )
        start = Rounds.begin(self._agents.state, collector.state, steps)
        return start, Tape(*map(tf.constant, tape)), schedule


if TYPE_CHECKING:
    _learners: list[type[Learner]] = [SteppedLearner, CompiledLearner]
