"""The shapes of shared programs: a few, for all widths and batch sizes of a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainer.agents.minibatches import Passes
from trainer.agents.networks import Architecture
from trainer.agents.update import CHUNK_STEPS, Rule
from trainer.environments.cartpole import CartPole
from trainer.rollouts.compiled_collector import CompiledCollector
from trainer.rollouts.simulation import Simulation
from trainer.run.state import RunState
from trainer.training.fused_rounds import Program

# Every program has the same number of rows, because compiling takes seconds; more agents take more
# calls. An empty row costs as much as a full one, and more rows hardly lower the cost of each. So
# there are as many rows as a trial has seeds by default.
ROWS = 5
LEAST_NEURONS, LEAST_STEPS = 32, 512  # of a program; smaller programs would be no faster

T = TypeVar("T")


class Shape(NamedTuple):
    """The constants that are compiled into a program."""

    algorithm: str
    task: CartPole
    architecture: Architecture
    num_envs: int
    steps: int | None  # of the longest rollout; None: complete episodes
    passes: Passes | None  # of updates in minibatches

    @property
    def playing(self) -> Shape:
        """The shape of a program that only plays episodes."""
        return self._replace(steps=None, num_envs=1, passes=None)

    @property
    def program(self) -> Program:
        chunk = CHUNK_STEPS if self.steps is None or self.steps > CHUNK_STEPS else None
        return Program(
            Rule(self.algorithm, self.architecture, chunk, self.passes),
            Simulation(self.task, self.architecture, self.steps),
        )


def stackable(run: RunState) -> bool:
    """Whether a run can share programs: its environments can be compiled."""
    return isinstance(run.collector, CompiledCollector)


def common_shape(run: RunState) -> Shape:
    """The shape of the program that a run shares."""
    algorithm, architecture = run.command.options.algorithm, run.agents.architecture
    collector = collector_of(run)
    passes = run.agents.passes
    steps: int | None = None
    if not collector.simulation.whole_episodes:
        # Few shapes, because compiling takes seconds. Shorter rollouts cost only what they fill.
        steps = max(LEAST_STEPS, 2 * _power_of_four(-(-collector.simulation.steps // 2)))
    return Shape(
        algorithm,
        collector.simulation.task,
        architecture._replace(
            hidden_neurons=max(LEAST_NEURONS, _power_of_two(architecture.hidden_neurons))
        ),
        collector.num_envs,
        steps,
        passes and Passes(_power_of_two(passes.epochs), _power_of_two(passes.rows)),
    )


def collector_of(run: RunState) -> CompiledCollector:
    assert isinstance(run.collector, CompiledCollector), "the run is stackable"
    return run.collector


def tiles(rows: Sequence[T], key: Callable[[T], Shape]) -> list[tuple[Shape, list[T]]]:
    """Rows grouped by shape, in their order, at most `ROWS` in each group."""
    groups: dict[Shape, list[T]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return [
        (shape, group[start : start + ROWS])
        for shape, group in groups.items()
        for start in range(0, len(group), ROWS)
    ]


def positions(run: RunState, shape: Shape) -> NDArray[np.int64]:
    return positions_in(run.agents.architecture, shape.architecture)


@lru_cache(maxsize=1024)
def positions_in(narrow: Architecture, wide: Architecture) -> NDArray[np.int64]:
    """Indices of the weights of narrow networks among those of wide ones."""
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
