"""Packs the agents of several runs into the rows of shared programs, and unpacks them again.

Agents of one program may differ in every hyperparameter. Narrow networks are padded with neurons
of weight 0, which get no gradients, and shorter rollouts end earlier. Between two calls each run
holds its own state, as if it trained alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.optimizer import State
from trainer.agents.update import METRICS, settings
from trainer.batch.program_shapes import (
    ROWS,
    Shape,
    collector_of,
    positions,
)
from trainer.rollouts.simulation import CartPoleState, Tape
from trainer.run.state import RunState
from trainer.training.fused_rounds import Rounds, Schedule
from trainer.training.learners import Learned

EPISODES = 20  # played by each row in one call
# The random numbers of one call: for environment steps of an agent, or for rounds of complete
# episodes, most of whose steps are not taken.
TAPE_STEPS, TAPE_ROUNDS = 8192, 16

Program = Callable[..., Any]  # compiled


class Unpacked:
    """The state of a run as arrays, copied into rows of a program and back."""

    def __init__(self, run: RunState) -> None:
        self.run, self.collector = run, collector_of(run)
        self.state = State(*map(np.array, run.agents.state))
        self.environments = CartPoleState(*map(np.array, self.collector.state))
        agents, steps = run.progress.size, run.progress.steps.copy()
        metrics = np.zeros((agents, len(METRICS)), np.float32)
        self.learned = Learned(steps, metrics, np.ones(agents, bool))
        self.taken = np.zeros(agents, np.int64)

    def hand_back(self) -> None:
        """Writes the arrays back to the run."""
        self.run.agents.state = State(*map(tf.constant, self.state))
        self.collector.state = CartPoleState(*map(tf.constant, self.environments))
        self.collector.collected += self.taken
        self.run.progress.advance(self.learned)


class Block(NamedTuple):
    """Episodes of one agent, at most as many as a row plays in one call."""

    run: RunState
    agent: int
    resets: NDArray[np.float32]  # [episodes, 4]
    uniforms: NDArray[np.float32] | None  # [max_episode_steps, episodes]; None: greedy actions
    returns: NDArray[np.float64]  # [episodes], to be filled in


def learn_rows(shape: Shape, program: Program, rows: Sequence[tuple[Unpacked, int]]) -> None:
    """Takes at most `ROWS` agents some rounds towards their next evaluations."""
    state = [np.zeros((ROWS, shape.architecture.size), np.float32) for _ in range(4)]
    state.append(np.zeros((ROWS, 1), np.float32))
    physics = np.zeros((ROWS, shape.num_envs, 4))
    elapsed = np.zeros((ROWS, shape.num_envs), np.int32)
    hyperparameters = [rows[0][0].run.agents.hyperparameters[0]] * ROWS
    steps, until, totals = (np.ones(ROWS, np.int64) for _ in range(3))
    training, lengths = np.zeros(ROWS, bool), np.ones(ROWS, np.int32)
    epochs = shape.passes.epochs if shape.passes else 0
    longest = shape.program.simulation.steps
    most = max(1, TAPE_STEPS // shape.num_envs // longest) if shape.steps else TAPE_ROUNDS
    length = most * longest
    tape = Tape(
        np.zeros((ROWS, length, shape.num_envs), np.float32),
        np.zeros((ROWS, length if shape.steps else most, shape.num_envs, 4), np.float32),
    )
    orders = np.zeros((ROWS, most, epochs, epochs and longest * shape.num_envs), np.int32)
    for row, (part, agent) in enumerate(rows):
        progress, where = part.run.progress, positions(part.run, shape)
        for ours, theirs in zip(state, part.state, strict=True):
            ours[row, where if len(theirs[agent]) > 1 else slice(1)] = theirs[agent]
        physics[row], elapsed[row] = (x[agent] for x in part.environments)
        hyperparameters[row] = part.run.agents.hyperparameters[agent]
        steps[row], training[row] = progress.steps[agent], True
        until[row], totals[row] = progress.next_evaluation, progress.plan.total_steps
        lengths[row] = own = part.collector.simulation.steps
        rollouts = length // own
        if shape.steps:
            left = math.ceil((until[row] - steps[row]) / (own * shape.num_envs))
            rollouts = min(rollouts, left)
        part.collector.fill_row(Tape(tape.acting[row], tape.resets[row]), agent, rollouts)
        if epochs:
            rollouts = min(rollouts, most)
            transitions = part.collector.transitions
            part.run.agents.fill_orders(orders[row, :rollouts], agent, int(steps[row]), transitions)
    after: Rounds = program(
        settings(hyperparameters),
        Rounds.begin(
            State(*map(tf.constant, state)),
            CartPoleState(tf.constant(physics), tf.constant(elapsed)),
            steps,
        ),
        Tape(*map(tf.constant, tape)),
        Schedule(*map(tf.constant, (training, until, totals, lengths, orders))),
    )
    state = [x.numpy() for x in after.agents]
    learned = [x.numpy() for x in (after.steps, after.metrics, after.finite)]
    environments, taken = [x.numpy() for x in after.environments], after.taken.numpy()
    for row, (part, agent) in enumerate(rows):
        where = positions(part.run, shape)
        for theirs, ours in zip(part.state, state, strict=True):
            theirs[agent] = ours[row, where if len(theirs[agent]) > 1 else slice(1)]
        for theirs, ours in zip(
            (*part.environments, *part.learned), (*environments, *learned), strict=True
        ):
            theirs[agent] = ours[row]
        part.taken[agent] = taken[row]


def play_rows(shape: Shape, program: Program, blocks: Sequence[Block]) -> None:
    """Plays at most `ROWS` blocks, and fills in their returns."""
    weights = np.zeros((ROWS, shape.architecture.size), np.float32)
    resets = np.zeros((ROWS, EPISODES, 4), np.float32)
    uniforms = np.zeros((ROWS, shape.task.max_episode_steps, EPISODES), np.float32)
    sampled = np.zeros(ROWS, bool)
    for row, block in enumerate(blocks):
        episodes = len(block.resets)
        averaged = block.run.agents.state.averaged[block.agent].numpy()
        weights[row, positions(block.run, shape)] = averaged
        resets[row, :episodes] = block.resets
        if block.uniforms is not None:
            sampled[row], uniforms[row, :, :episodes] = True, block.uniforms
    found = program(*map(tf.constant, (weights, resets, uniforms, sampled))).numpy()
    for row, block in enumerate(blocks):
        block.returns[:] = found[row, : len(block.returns)]


def blocks_of(
    run: RunState,
    agents: NDArray[np.bool_],
    resets: NDArray[np.float32],
    uniforms: NDArray[np.float32] | None,
    returns: NDArray[np.float64],
) -> Iterator[Block]:
    """The episodes `[P, episodes, ...]` of those `agents` of a run, cut into blocks."""
    for agent in agents_in(agents):
        for start in range(0, resets.shape[1], EPISODES):
            part = slice(start, start + EPISODES)
            drawn = None if uniforms is None else uniforms[agent, :, part]
            yield Block(run, agent, resets[agent, part], drawn, returns[agent, part])


def agents_in(chosen: NDArray[np.bool_]) -> list[int]:
    return np.flatnonzero(chosen).tolist()
