"""How far each agent of a run has come: its steps, its scores, and whether it still trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.agents.update import METRICS
from trainer.storage.checkpoint import Arrays, field
from trainer.training.learners import Learned

NEVER = -1  # in place of a number of steps


class Plan(NamedTuple):
    """When to evaluate and when to stop."""

    total_steps: int
    evaluation_every: int
    validation_episodes: int
    solved_at_score: float | None  # what counts as solved
    stop_after: int | None  # solved evaluations in a row after which an agent stops; None: never


class Evaluation(NamedTuple):
    """Scores of all agents, taken when each agent still in training has reached `steps`."""

    steps: int
    scores: NDArray[np.float64]  # [P] mean validation return of each agent's current policy
    training: NDArray[np.bool_]  # [P] whether the agent was still learning
    losses: Mapping[str, float]  # means over the agents still learning, at their last update


# The fields of Progress with a value for each agent, `[P]`.
_BY_AGENT = (
    *("steps", "training", "diverged", "scores"),
    *("solved_in_a_row", "solved_at", "stayed_solved"),
)


class Progress:
    """How far each agent has come. Agents wait for one another only at evaluations.

    An agent counts its own steps and stops by its own score, so what it learns does not depend on
    which other agents train beside it.
    """

    def __init__(self, plan: Plan, agents: int) -> None:
        self.plan, self.size = plan, agents
        self.steps = np.zeros(agents, np.int64)
        self.training = np.ones(agents, bool)
        self.diverged = np.zeros(agents, bool)
        self.scores = np.full(agents, np.nan)
        self.solved_in_a_row = np.zeros(agents, np.int64)
        self.solved_at = np.full(agents, NEVER)  # steps at the first solved evaluation
        self.stayed_solved = np.zeros(agents, bool)
        self.losses: Mapping[str, float] = {}  # at the last updates
        self.evaluations: list[Evaluation] = []

    @property
    def next_evaluation(self) -> int:
        return min((len(self.evaluations) + 1) * self.plan.evaluation_every, self.plan.total_steps)

    @property
    def learning(self) -> NDArray[np.bool_]:
        """[P] which agents take part in the next rollout."""
        return self.training & (self.steps < self.next_evaluation)

    @property
    def to_score(self) -> NDArray[np.bool_]:
        """[P] which agents' policies have changed since they were last scored."""
        return self.training | np.isnan(self.scores)

    def advance(self, learned: Learned) -> None:
        """Records what a learner did."""
        self.losses = mean_metrics(learned, learned.steps > self.steps)
        self.steps = learned.steps
        overflowed = self.training & ~learned.finite
        self.diverged |= overflowed
        self.training &= ~overflowed
        self.scores[overflowed] = np.nan  # the restored weights were never scored

    def record(self, scores: NDArray[np.float64]) -> Evaluation:
        """Records validation scores `[P]` of the agents `to_score`; decides which agents go on."""
        steps, goal = self.next_evaluation, self.plan.solved_at_score
        known = np.where(self.to_score, scores, self.scores)
        evaluation = Evaluation(steps, known, self.training.copy(), self.losses)
        self.scores = evaluation.scores
        for agent in np.flatnonzero(self.training):
            solved = goal is not None and scores[agent] >= goal
            if self.solved_at[agent] != NEVER:
                self.stayed_solved[agent] &= solved
            elif solved:
                self.solved_at[agent], self.stayed_solved[agent] = self.steps[agent], True
            # A single good evaluation may be luck: only several in a row stop an agent.
            self.solved_in_a_row[agent] = self.solved_in_a_row[agent] + 1 if solved else 0
            if self.solved_in_a_row[agent] == self.plan.stop_after:
                self.training[agent] = False
        self.training &= self.steps < self.plan.total_steps
        self.evaluations.append(evaluation)
        return evaluation

    def settle(self, scores: NDArray[np.float64]) -> None:
        """Records validation scores `[P]` of the agents `to_score` after training has ended."""
        self.scores = np.where(self.to_score, scores, self.scores)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """The full state, by name."""
        return {
            **{name: getattr(self, name).copy() for name in _BY_AGENT},
            "losses": np.array(list(self.losses.values())),
            "evaluation_steps": np.array([e.steps for e in self.evaluations], np.int64),
            "evaluation_scores": np.reshape([e.scores for e in self.evaluations], (-1, self.size)),
            "evaluation_training": np.reshape(
                np.array([e.training for e in self.evaluations], bool), (-1, self.size)
            ),
        }

    def restore(self, arrays: Arrays) -> None:
        """Restores a `snapshot`. Raises CheckpointError if its arrays do not fit."""
        for name in _BY_AGENT:
            now = getattr(self, name)
            setattr(self, name, field(arrays, name, now.dtype, now.shape).copy())
        losses = field(arrays, "losses", np.float64, (None,)).tolist()
        self.losses = dict(zip(METRICS, losses, strict=False))
        steps = field(arrays, "evaluation_steps", np.int64, (None,))
        shape = (len(steps), self.size)
        scores = field(arrays, "evaluation_scores", np.float64, shape)
        training = field(arrays, "evaluation_training", np.bool_, shape)
        self.evaluations = [
            Evaluation(int(at), scored, learning, {})
            for at, scored, learning in zip(steps, scores, training, strict=True)
        ]

    @property
    def best_agent(self) -> int:
        """The agent whose current policy has the best validation score; the first of equals."""
        return int(np.argmax(np.where(np.isfinite(self.scores), self.scores, -np.inf)))

    def score_of(self, agent: int) -> float | None:
        """An agent's last validation score; None before its first evaluation."""
        score = float(self.scores[agent])
        return score if np.isfinite(score) else None

    def summary(self) -> dict[str, Any]:
        """The entries of the manifest about the agents' training."""
        solved = list(zip(self.solved_at.tolist(), self.stayed_solved.tolist(), strict=True))
        return {
            "steps": self.steps.tolist(),
            "steps_to_solve": [None if at == NEVER else at for at, _ in solved],
            "stayed_solved": [None if at == NEVER else stayed for at, stayed in solved],
            "diverged": np.flatnonzero(self.diverged).tolist(),
        }


def mean_metrics(learned: Learned, agents: NDArray[np.bool_]) -> dict[str, float]:
    """Means of the last updates' metrics over those of `agents` whose numbers are finite."""
    rows = learned.metrics[agents & learned.finite]
    return dict(zip(METRICS, rows.mean(axis=0).tolist(), strict=True)) if len(rows) else {}
