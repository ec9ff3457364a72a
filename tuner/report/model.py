"""The plain values that a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trainer.contract.run_record import Point, Scores
from tuner.execution.metric_file import Measurement
from tuner.spec.study_spec import MAXIMIZE, MEAN, STEPS_TO_SOLVE, Parameter

RUN, STUDY, JOB = "run", "study", "job"
SUCCEEDED, UNFINISHED, DAMAGED = "SUCCEEDED", "UNFINISHED", "DAMAGED"  # of a folder


@dataclass(frozen=True)
class Estimate:
    """A run's objective with its 95% interval, or with the range of its agents if it has none."""

    value: float
    low: float
    high: float
    agents: int


@dataclass(frozen=True)
class Run:
    """What could be read in the folder of a run."""

    folder: str  # in the job dir; "" is the job dir itself
    state: str = UNFINISHED
    problems: Sequence[str] = ()  # sentences
    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str = ""
    scores: Scores = field(default_factory=Scores)
    wall_seconds: float | None = None


@dataclass(frozen=True)
class Trial:
    """A trial of a search, or the only run there is."""

    name: str
    parameters: Mapping[str, Any]
    state: str
    reason: str
    run: Run
    estimate: Estimate | None = None
    seconds: float | None = None
    started: datetime | None = None
    ended: datetime | None = None
    reports: Sequence[Measurement] = ()
    points: Sequence[Point] = ()  # of the first few trials only


@dataclass(frozen=True)
class Report:
    """All that the page shows. The best trial comes first; trials without a score come last."""

    kind: str
    name: str
    where: str
    trials: Sequence[Trial]
    metric: str = "mean_score"
    goal: str = MAXIMIZE
    objective: str = MEAN
    progress: str = ""  # a sentence, unless the study or run is complete
    space: Mapping[str, Parameter] = field(default_factory=dict)
    space_recorded: bool = False  # or else inferred from the trials
    args: Sequence[str] = ()
    seeds: Mapping[str, int] = field(default_factory=dict)  # by purpose
    confirmed: Mapping[str, tuple[Run, Estimate]] = field(default_factory=dict)  # by trial
    tested: Mapping[str, tuple[Run, Estimate]] = field(default_factory=dict)  # winner, defaults
    best: Mapping[str, Any] = field(default_factory=dict)  # best.json
    cpu_seconds: float | None = None
    problems: Sequence[str] = ()  # sentences about the job dir itself
    videos: Mapping[str, tuple[Trial, bytes]] = field(default_factory=dict)  # best, median, worst
    policy: str | None = None  # the winner's policy.json

    @property
    def scored(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.estimate is not None]

    @property
    def winner(self) -> Trial | None:
        """The tested trial, else the best so far."""
        tested = str(self.best.get("trial", ""))
        named = [trial for trial in self.scored if trial.name == tested]
        return next(iter(named or self.scored), None)

    @property
    def unit(self) -> str:
        """What the objective is measured in."""
        return "steps to solve" if self.objective == STEPS_TO_SOLVE else self.metric
