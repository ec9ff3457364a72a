"""Several runs learn as one: gathered into a program of a shape that fits all, scattered back.

Runs may differ in every number but the shapes, and in width and batch size below a common one:
narrow networks are padded with neurons that weigh nothing, for those stay so under gradients, and
rollouts end one by one. Between two calls each run holds its own state, as if it were alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.cartpole import CartPole
from trainer.compiled_collector import CompiledCollector
from trainer.learners import Learned
from trainer.networks import Architecture
from trainer.programs import Program, Rounds, Schedule
from trainer.randomness import Purpose
from trainer.run import Run
from trainer.simulation import CartPoleState, Simulation, Tape
from trainer.updates import CHUNK_STEPS, Rule, State, settings

MAX_AGENTS = 64  # in one program; a run of more has one of its own
# What one call has random numbers for: environment steps of an agent, or rounds of whole episodes,
# most of whose steps are not taken.
TAPE_STEPS, TAPE_ROUNDS = 8192, 16
LEAST_NEURONS, LEAST_STEPS = 32, 512  # of a program; less in one would cost as much


class Shape(NamedTuple):
    """What is compiled into a program."""

    algorithm: str
    task: CartPole
    architecture: Architecture
    num_envs: int
    steps: int | None  # of the longest rollout; None: whole episodes

    @property
    def program(self) -> Program:
        chunk = CHUNK_STEPS if self.steps is None or self.steps > CHUNK_STEPS else None
        return Program(
            Rule(self.algorithm, self.architecture, chunk),
            Simulation(self.task, self.architecture, self.steps),
        )


class Stack:
    """Keeps compiled programs, so that runs which come later find them ready."""

    def __init__(self) -> None:
        self._programs: dict[tuple[Any, ...], dict[int, Callable[..., Any]]] = {}

    def learn(self, runs: Sequence[Run]) -> None:
        """Takes each run some way towards its next evaluation. All must be `stackable`."""
        for shape, together in _groups(runs, common_shape):
            self._learn(shape, together)

    def validate(self, runs: Sequence[Run]) -> list[NDArray[np.float64]]:
        """Returns `[P, episodes]` of each run's policies as they stand, at its next evaluation."""
        return self._play(
            runs,
            lambda run: collector_of(run).draw_episodes(
                run.progress.plan.validation_episodes,
                Purpose.VALIDATION,
                len(run.progress.evaluations),
                greedy=True,
            ),
        )

    def score(
        self, runs: Sequence[Run]
    ) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """What `Run.returns` of each would be: all greedy ones, all sampled ones."""

        def draw(run: Run) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            episodes = run.command.options.evaluation_episodes
            drawn = [
                collector_of(run).draw_episodes(episodes, Purpose.FINAL, 0, greedy=greedy)
                for greedy in (True, False)
            ]
            return np.concatenate([resets for resets, _ in drawn], axis=1), drawn[1][1]

        halves = [np.split(returns, 2, axis=1) for returns in self._play(runs, draw)]
        return [greedy for greedy, _ in halves], [sampled for _, sampled in halves]

    def _play(
        self,
        runs: Sequence[Run],
        draw: Callable[[Run], tuple[NDArray[np.float32], NDArray[np.float32]]],
    ) -> list[NDArray[np.float64]]:
        """Returns of what each run draws for `Simulation.play`."""
        drawn = {id(run): draw(run) for run in runs}

        def kind(run: Run) -> tuple[Shape, tuple[int, ...], tuple[int, ...]]:
            resets, uniforms = drawn[id(run)]
            return common_shape(run)._replace(steps=None), resets.shape[1:], uniforms.shape[1:]

        found: dict[int, NDArray[np.float64]] = {}
        for (shape, *shapes), together in _groups(runs, kind):
            size = sum(map(agents_of, together))
            key = ("play", shape.task, shape.architecture, *shapes)
            play, room = self._compiled(key, size, shape.program.simulation.play)
            weights = np.zeros((room, shape.architecture.size), np.float32)
            resets, uniforms = (np.zeros((room, *shape), np.float32) for shape in shapes)
            for run, rows in _rows(together):
                weights[rows, _places(run, shape)] = run.agents.state.averaged.numpy()
                resets[rows], uniforms[rows] = drawn[id(run)]
            returns = play(*map(tf.constant, (weights, resets, uniforms))).numpy()
            for run, rows in _rows(together):
                found[id(run)] = returns[rows].astype(np.float64)
        return [found[id(run)] for run in runs]

    def _learn(self, shape: Shape, runs: Sequence[Run]) -> None:
        rounds, room = self._compiled(
            ("learn", shape), sum(map(agents_of, runs)), shape.program.rounds
        )
        state = [np.zeros((room, shape.architecture.size), np.float32) for _ in range(4)]
        state.append(np.zeros((room, 1), np.float32))
        physics = np.zeros((room, shape.num_envs, 4))
        elapsed = np.zeros((room, shape.num_envs), np.int32)
        hyperparameters = [runs[0].agents.hyperparameters[0]] * room
        steps, until, totals = (np.ones(room, np.int64) for _ in range(3))
        training, lengths = np.zeros(room, bool), np.ones(room, np.int32)
        whole = shape.program.simulation.steps
        most = max(1, TAPE_STEPS // shape.num_envs // whole) if shape.steps else TAPE_ROUNDS
        length = most * whole
        resets = length if shape.steps else most
        tape = Tape(
            np.zeros((room, length, shape.num_envs), np.float32),
            np.zeros((room, resets, shape.num_envs, 4), np.float32),
        )
        for run, rows in _rows(runs):
            progress, collector = run.progress, collector_of(run)
            for ours, theirs in zip(state, run.agents.state, strict=True):
                ours[rows, _places(run, shape) if ours.shape[1] > 1 else slice(1)] = theirs.numpy()
            physics[rows], elapsed[rows] = (x.numpy() for x in collector.state)
            hyperparameters[rows] = run.agents.hyperparameters
            steps[rows], training[rows] = progress.steps, progress.training
            until[rows], totals[rows] = progress.next_evaluation, progress.plan.total_steps
            lengths[rows] = own = collector.simulation.steps
            longest = (until[rows] - steps[rows])[progress.learning].max(initial=1)
            wanted = -(-int(longest) // (own * shape.num_envs)) if shape.steps else length
            collector.fill(
                Tape(tape.acting[rows], tape.resets[rows]),
                progress.learning,
                min(wanted, length // own),
            )
        after: Rounds = rounds(
            settings(hyperparameters),
            Rounds.begin(
                State(*map(tf.constant, state)),
                CartPoleState(tf.constant(physics), tf.constant(elapsed)),
                steps,
            ),
            Tape(*map(tf.constant, tape)),
            Schedule(*map(tf.constant, (training, until, totals, lengths))),
        )
        state = [x.numpy() for x in after.agents]
        physics, elapsed = (x.numpy() for x in after.environments)
        taken, metrics, finite = (x.numpy() for x in (after.taken, after.metrics, after.finite))
        learned_steps = after.steps.numpy()
        for run, rows in _rows(runs):
            places, collector = _places(run, shape), collector_of(run)
            run.agents.state = State(
                *(tf.constant(x[rows][:, places] if x.shape[1] > 1 else x[rows]) for x in state)
            )
            collector.state = CartPoleState(tf.constant(physics[rows]), tf.constant(elapsed[rows]))
            collector.collected += taken[rows]
            run.progress.advance(Learned(learned_steps[rows], metrics[rows], finite[rows]))

    def _compiled(
        self, key: tuple[Any, ...], agents: int, function: Callable[..., Any]
    ) -> tuple[Callable[..., Any], int]:
        """A compiled function with room for so many agents, and the room it has.

        One that is there already will do unless it is four times too large: compiling takes
        seconds, idle rows take little.
        """
        known = self._programs.setdefault(key, {})
        fitting = [room for room in sorted(known) if agents <= room <= 4 * max(agents, 8)]
        room = fitting[0] if fitting else max(8, _power_of_two(agents))
        if room not in known:
            known[room] = tf.function(function, jit_compile=True, autograph=False)
        return known[room], room


def stackable(run: Run) -> bool:
    """Whether a run's environments can be compiled."""
    return isinstance(run.collector, CompiledCollector)


def common_shape(run: Run) -> Shape:
    """The shape of the program that a run has part in."""
    algorithm, architecture = run.command.options.algorithm, run.agents.architecture
    collector = collector_of(run)
    steps: int | None = None
    if not collector.simulation.whole_episodes:
        # Few shapes, for compiling takes seconds: a shorter rollout in it costs only what it fills.
        steps = max(LEAST_STEPS, 2 * _power_of_four(-(-collector.simulation.steps // 2)))
    return Shape(
        algorithm,
        collector.simulation.task,
        architecture._replace(
            hidden_neurons=max(LEAST_NEURONS, _power_of_two(architecture.hidden_neurons))
        ),
        collector.num_envs,
        steps,
    )


def agents_of(run: Run) -> int:
    return int(run.progress.size)


def collector_of(run: Run) -> CompiledCollector:
    assert isinstance(run.collector, CompiledCollector), "only such runs are stackable"
    return run.collector


def _groups(runs: Iterable[Run], key: Callable[[Run], Any]) -> list[tuple[Any, list[Run]]]:
    """Runs of one key together, at most `MAX_AGENTS` agents in a group unless one run has more."""
    groups: dict[Any, list[list[Run]]] = {}
    for run in runs:
        theirs = groups.setdefault(key(run), [[]])
        if theirs[-1] and sum(map(agents_of, (*theirs[-1], run))) > MAX_AGENTS:
            theirs.append([])
        theirs[-1].append(run)
    return [(key, group) for key, several in groups.items() for group in several]


def _rows(runs: Sequence[Run]) -> list[tuple[Run, slice]]:
    """Each run with the rows of its agents."""
    ends = np.cumsum([agents_of(run) for run in runs]).tolist()
    return [(run, slice(end - agents_of(run), end)) for run, end in zip(runs, ends, strict=True)]


def _places(run: Run, shape: Shape) -> NDArray[np.int64]:
    return _places_in(run.agents.architecture, shape.architecture)


@lru_cache(maxsize=1024)
def _places_in(narrow: Architecture, wide: Architecture) -> NDArray[np.int64]:
    """Where each number of narrow networks stands among those of wide ones."""
    layers = zip(
        (part for network in narrow.unpack(np.zeros((1, narrow.size))).values()
         for layer in network for part in layer),
        (part for network in wide.unpack(np.arange(wide.size)[np.newaxis]).values()
         for layer in network for part in layer),
        strict=True,
    )  # fmt: skip
    return np.concatenate([w[0, : n.shape[1], : n.shape[2]].reshape(-1) for n, w in layers])


def _power_of_two(least: int) -> int:
    return 1 << max(0, least - 1).bit_length()


def _power_of_four(least: int) -> int:
    bits = max(0, least - 1).bit_length()
    return 1 << (bits + bits % 2)
