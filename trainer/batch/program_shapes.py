"""Which programs runs share: a few shapes for all widths and batch sizes, and rows for agents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainer.agents.networks import Architecture
from trainer.agents.update import CHUNK_STEPS, Rule
from trainer.environments.cartpole import CartPole
from trainer.rollouts.compiled_collector import CompiledCollector
from trainer.rollouts.simulation import Simulation
from trainer.run.state import Run
from trainer.training.fused_rounds import Program

# Rows of a program. One size, for compiling takes seconds: more agents take more calls. A row costs
# the same whether somebody fills it or not, and hardly less among many: so there are as many as a
# trial has seeds where the tuner is not told otherwise.
ROWS = 5
LEAST_NEURONS, LEAST_STEPS = 32, 512  # of a program; less in one would cost as much

T = TypeVar("T")


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


def collector_of(run: Run) -> CompiledCollector:
    assert isinstance(run.collector, CompiledCollector), "only such runs are stackable"
    return run.collector


def tiles(rows: Sequence[T], key: Callable[[T], Shape]) -> list[tuple[Shape, list[T]]]:
    """Rows of one shape together, in their order, at most `ROWS` in each."""
    groups: dict[Shape, list[T]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return [
        (shape, group[start : start + ROWS])
        for shape, group in groups.items()
        for start in range(0, len(group), ROWS)
    ]


def places(run: Run, shape: Shape) -> NDArray[np.int64]:
    return places_in(run.agents.architecture, shape.architecture)


@lru_cache(maxsize=1024)
def places_in(narrow: Architecture, wide: Architecture) -> NDArray[np.int64]:
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
