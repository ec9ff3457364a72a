"""Training runs for measurements: as on the command line, but without a job dir."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Result:
    """The curves and scores of one stack of agents."""

    flags: tuple[str, ...]
    settings: dict[str, Any]
    evaluation_steps: list[int]
    curves: NDArray[np.float64]  # [evaluations, P] mean validation return
    greedy: NDArray[np.float64]  # [P] mean return of the final policies, fresh episodes
    sampled: NDArray[np.float64]  # [P]
    solved_at: list[int | None]
    solved_at_score: float
    diverged: list[int]
    steps: NDArray[np.int64]  # [P]
    seconds: float

    @property
    def stayed(self) -> float:
        """The share of evaluations after an agent's first solve that are solved too."""
        solved = self.curves >= self.solved_at_score
        later = [
            column[np.argmax(column) + 1 :] for column in solved.T if column.any()
        ]  # an agent that never solved has no evaluation after its first solve
        return float(np.concatenate(later).mean()) if later else 0.0

    @property
    def first_solves(self) -> NDArray[np.float64]:
        """[P] steps to the first solve; infinity for never."""
        return np.array([np.inf if s is None else s for s in self.solved_at])

    def as_json(self) -> dict[str, Any]:
        return {
            "command": " ".join(["python -m trainer.task", *self.flags]),
            "settings": self.settings,
            "evaluation_steps": self.evaluation_steps,
            "curves": self.curves.round(2).tolist(),
            "greedy": self.greedy.round(3).tolist(),
            "sampled": self.sampled.round(3).tolist(),
            "steps_to_solve": self.solved_at,
            "stayed_solved_share": self.stayed,
            "diverged": self.diverged,
            "steps": self.steps.tolist(),
            "seconds": round(self.seconds, 1),
        }


def run(*flags: str) -> Result:
    """Trains a stack with the trainer's defaults; `flags` as on the command line."""
    from trainer.contract.command_line import parse
    from trainer.process import tensorflow_env
    from trainer.process.console import quiet_standard_error
    from trainer.run.setup import prepare

    command = parse(flags)
    tensorflow_env.prepare()
    tensorflow_env.prefer_one_core(command.neurons)
    with quiet_standard_error(), tensorflow_env.importing():
        import tensorflow  # noqa: F401
    from trainer.run.state import RunState

    started = time.monotonic()
    prepared = prepare(command, flags, {})
    goal = prepared.goal
    assert goal is not None, f"{command.options.environment} has no threshold"
    parts = RunState(command, prepared.environment, goal)
    parts.train()
    greedy, sampled = (parts.returns(greedy=greedy).mean(axis=1) for greedy in (True, False))
    progress = parts.progress
    return Result(
        flags=flags,
        settings=command.values,
        evaluation_steps=[e.steps for e in progress.evaluations],
        curves=np.array([e.scores for e in progress.evaluations]),
        greedy=greedy,
        sampled=sampled,
        solved_at=progress.summary()["steps_to_solve"],
        solved_at_score=goal,
        diverged=np.flatnonzero(progress.diverged).tolist(),
        steps=progress.steps,
        seconds=time.monotonic() - started,
    )
