"""Carries out steps of many runs at once, in compiled programs that the runs share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.agents.random_streams import Purpose
from trainer.batch.packing import Block, Unpacked, agents_in, blocks_of, learn_rows, play_rows
from trainer.batch.program_shapes import Shape, collector_of, common_shape, tiles
from trainer.run.state import RunState
from trainer.training.loop import Step

T = TypeVar("T")


class Compiled:
    """A program, compiled in its first call; other threads wait for that."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = tf.function(function, jit_compile=True, autograph=False)
        self._ready, self._compiling = False, threading.Lock()

    @property
    def waits(self) -> bool:
        """Whether a call would wait for another thread."""
        return not self._ready and self._compiling.locked()

    def __call__(self, *inputs: Any) -> Any:
        if self._ready:
            return self._function(*inputs)
        with self._compiling:
            found = self._function(*inputs)
            self._ready = True
            return found


class SharedPrograms:
    """Carries out steps of many runs at once. Compiled programs are kept for later runs.

    Several threads may call it, each for different runs.
    """

    def __init__(self) -> None:
        self._programs: dict[tuple[str, Shape], Compiled] = {}
        self._adding = threading.Lock()

    def execute(self, step: Step, runs: Sequence[RunState]) -> list[Any]:
        """The results of a step, one for each run. All runs must be `stackable`."""
        if not runs:
            return []
        match step:
            case Step.LEARN:
                self.learn(runs)
                return [None for _ in runs]
            case Step.VALIDATE:
                return [returns.mean(axis=1) for returns in self.validate(runs)]
            case Step.SCORE:
                both = self.returns(runs, greedy=True), self.returns(runs, greedy=False)
                return list(zip(*both, strict=True))

    def learn(self, runs: Sequence[RunState]) -> None:
        """Takes the agents of each run some rounds towards their next evaluation."""
        parts = [Unpacked(run) for run in runs]
        rows = [(part, agent) for part in parts for agent in agents_in(part.run.progress.learning)]
        # All agents of a call wait for the one with the longest rollouts.
        rows.sort(key=lambda row: row[0].collector.simulation.steps)
        tiled = tiles(rows, lambda row: common_shape(row[0].run))
        self._call("learn", lambda shape: shape.program.rounds, learn_rows, tiled)
        for part in parts:
            part.hand_back()

    def validate(self, runs: Sequence[RunState]) -> list[NDArray[np.float64]]:
        """Validation returns `[P, episodes]` of the policies that changed; NaN for the others."""
        found, blocks = [], list[Block]()
        for run in runs:
            progress = run.progress
            resets, _ = collector_of(run).draw_episodes(
                progress.plan.validation_episodes,
                Purpose.VALIDATION,
                len(progress.evaluations),
                greedy=True,
            )
            returns = np.full(resets.shape[:2], np.nan)
            blocks += blocks_of(run, progress.to_score, resets, None, returns)
            found.append(returns)
        self._play(blocks)
        return found

    def returns(self, runs: Sequence[RunState], *, greedy: bool) -> list[NDArray[np.float64]]:
        """Returns `[P, episodes]` of each run's final policies, over fresh episodes."""
        found, blocks = [], list[Block]()
        for run in runs:
            resets, uniforms = collector_of(run).draw_episodes(
                run.command.options.evaluation_episodes, Purpose.FINAL, 0, greedy=greedy
            )
            returns, drawn = np.zeros(resets.shape[:2]), None if greedy else uniforms
            everybody = np.ones(run.progress.size, bool)
            blocks += blocks_of(run, everybody, resets, drawn, returns)
            found.append(returns)
        self._play(blocks)
        return found

    def _play(self, blocks: Sequence[Block]) -> None:
        """Fills in the blocks' returns."""
        tiled = tiles(blocks, lambda block: common_shape(block.run).playing)
        self._call("play", lambda shape: shape.program.simulation.play, play_rows, tiled)

    def _call(
        self,
        what: str,
        function: Callable[[Shape], Callable[..., Any]],
        on_rows: Callable[[Shape, Compiled, list[T]], None],
        tiled: list[tuple[Shape, list[T]]],
    ) -> None:
        """Calls programs for all tiles; those that another thread is compiling come last."""
        left = [(shape, self._compiled(what, shape, function), rows) for shape, rows in tiled]
        while left:
            chosen = next((index for index, each in enumerate(left) if not each[1].waits), 0)
            on_rows(*left.pop(chosen))

    def _compiled(
        self, what: str, shape: Shape, function: Callable[[Shape], Callable[..., Any]]
    ) -> Compiled:
        with self._adding:
            if (what, shape) not in self._programs:
                self._programs[what, shape] = Compiled(function(shape))
            return self._programs[what, shape]
