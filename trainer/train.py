"""The training loop: learn, evaluate, stop; for a whole stack, until every agent is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.agents import METRICS, Agents
from trainer.collectors import Collector
from trainer.learners import Learned, Learner
from trainer.randomness import Purpose


class Plan(NamedTuple):
    """When to evaluate and when to stop."""

    total_steps: int
    evaluation_every: int
    validation_episodes: int
    solved_at_score: float | None  # what counts as solved
    stop_after: int | None  # solved evaluations in a row after which an agent stops; None: never


class Evaluation(NamedTuple):
    """A look at all agents when each of them still in training has reached `steps`."""

    steps: int
    scores: NDArray[np.float64]  # [P] mean validation return of each agent's policy as it stands
    training: NDArray[np.bool_]  # [P] whether the agent was still learning
    losses: Mapping[str, float]  # means over the agents still learning, at their last update


class Progress:
    """Where each agent stands. Agents wait for one another at every evaluation.

    So an agent's course never depends on who else is in the stack: it stops by its own score and
    counts its own steps.
    """

    def __init__(self, plan: Plan, agents: int) -> None:
        self.plan = plan
        self.steps = np.zeros(agents, np.int64)
        self.training = np.ones(agents, bool)
        self.diverged = np.zeros(agents, bool)
        self.scores = np.full(agents, np.nan)
        self.solved_in_a_row = np.zeros(agents, np.int64)
        self.solved_at: list[int | None] = [None] * agents
        self.stayed_solved: list[bool | None] = [None] * agents
        self.evaluations: list[Evaluation] = []

    @property
    def next_evaluation(self) -> int:
        return min((len(self.evaluations) + 1) * self.plan.evaluation_every, self.plan.total_steps)

    @property
    def learning(self) -> NDArray[np.bool_]:
        """[P] who takes part in the next rollout."""
        return self.training & (self.steps < self.next_evaluation)

    @property
    def to_score(self) -> NDArray[np.bool_]:
        """[P] whose policy is not the one that was scored last."""
        return self.training | np.isnan(self.scores)

    def advance(self, learned: Learned) -> None:
        """Takes in what a learner did."""
        self.steps = learned.steps
        overflowed = self.training & ~learned.finite
        self.diverged |= overflowed
        self.training &= ~overflowed
        self.scores[overflowed] = np.nan  # the weights it went back to were never scored

    def record(self, scores: NDArray[np.float64], losses: Mapping[str, float]) -> Evaluation:
        """Takes in validation scores `[P]` of those `to_score`, and decides who goes on."""
        steps, goal = self.next_evaluation, self.plan.solved_at_score
        known = np.where(self.to_score, scores, self.scores)
        evaluation = Evaluation(steps, known, self.training.copy(), losses)
        self.scores = evaluation.scores
        for agent in np.flatnonzero(self.training):
            solved = goal is not None and scores[agent] >= goal
            if self.solved_at[agent] is not None:
                self.stayed_solved[agent] = bool(self.stayed_solved[agent] and solved)
            elif solved:
                self.solved_at[agent], self.stayed_solved[agent] = int(self.steps[agent]), True
            # One lucky evaluation is no reason to stop.
            self.solved_in_a_row[agent] = self.solved_in_a_row[agent] + 1 if solved else 0
            if self.solved_in_a_row[agent] == self.plan.stop_after:
                self.training[agent] = False
        self.training &= self.steps < self.plan.total_steps
        self.evaluations.append(evaluation)
        return evaluation

    @property
    def best_agent(self) -> int:
        """The agent whose policy as it stands did best in validation; the first of equals."""
        return int(np.argmax(np.where(np.isfinite(self.scores), self.scores, -np.inf)))

    def score_of(self, agent: int) -> float | None:
        """An agent's last validation score; None before the first."""
        score = float(self.scores[agent])
        return score if np.isfinite(score) else None

    def summary(self) -> dict[str, Any]:
        """What the run's record says of the agents' courses."""
        return {
            "steps": self.steps.tolist(),
            "steps_to_solve": self.solved_at,
            "stayed_solved": self.stayed_solved,
            "diverged": np.flatnonzero(self.diverged).tolist(),
        }


def train(
    agents: Agents,
    collector: Collector,
    learner: Learner,
    progress: Progress,
    on_evaluation: Callable[[Evaluation], None],
    on_steps: Callable[[Progress], None],
) -> None:
    """Trains until every agent has stopped; `progress` and `agents` hold the result."""
    losses: Mapping[str, float] = {}
    while progress.training.any():
        if progress.learning.any():
            learned = learner.learn(progress.steps, progress.training, progress.next_evaluation)
            losses = mean_metrics(learned, learned.steps > progress.steps)
            progress.advance(learned)
            on_steps(progress)
        if progress.training.any() and not progress.learning.any():
            scores = validate(agents, collector, progress)
            on_evaluation(progress.record(scores, losses))
    if progress.to_score.any():
        scores = validate(agents, collector, progress)
        progress.scores = np.where(progress.to_score, scores, progress.scores)


def mean_metrics(learned: Learned, agents: NDArray[np.bool_]) -> dict[str, float]:
    """What to log of the last updates: means over those of `agents` whose numbers are finite."""
    rows = learned.metrics[agents & learned.finite]
    return dict(zip(METRICS, rows.mean(axis=0).tolist(), strict=True)) if len(rows) else {}


def validate(agents: Agents, collector: Collector, progress: Progress) -> NDArray[np.float64]:
    """Mean greedy validation return, `[P]`, of the agents whose policies changed; else NaN."""
    returns: NDArray[Any] = collector.play(
        agents.state.averaged,
        progress.plan.validation_episodes,
        Purpose.VALIDATION,
        len(progress.evaluations),
        greedy=True,
        active=progress.to_score,
    )
    return returns.mean(axis=1)
