"""What a report tells of, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tuner.search.objective import Scores
from tuner.spec.study_spec import MAXIMIZE, MEAN

RUN, STUDY, JOB = "run", "study", "job"
SUCCEEDED, UNFINISHED, DAMAGED = "SUCCEEDED", "UNFINISHED", "DAMAGED"  # of a folder


@dataclass(frozen=True)
class Estimate:
    """A score and how far to trust it."""

    value: float
    low: float
    high: float
    agents: int  # behind it; with one agent the interval is over its episodes


@dataclass(frozen=True)
class Run:
    """A folder that the trainer leaves, as far as it can be read."""

    folder: str  # in the job dir; "" is the job dir itself
    state: str = UNFINISHED
    problems: Sequence[str] = ()  # sentences
    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str = ""
    scores: Scores = field(default_factory=Scores)
    interval: tuple[float, float] | None = None  # the run's own
    wall_seconds: float | None = None


@dataclass(frozen=True)
class Point:
    """One evaluation of a run."""

    step: int
    scores: tuple[float, ...]  # of each agent, or their mean alone


@dataclass(frozen=True)
class Axis:
    """The range of a parameter."""

    type: str
    low: float | None = None
    high: float | None = None
    values: tuple[Any, ...] = ()
    scale: str = ""
    seen: bool = False  # told by the trials, not by a search space

    @property
    def log(self) -> bool:
        return self.scale == "UNIT_LOG_SCALE" and (self.low or 0) > 0


@dataclass(frozen=True)
class Trial:
    """One point of the search, or the only run there is."""

    name: str
    parameters: Mapping[str, Any]
    state: str
    reason: str
    run: Run
    estimate: Estimate | None = None
    seconds: float | None = None
    points: Sequence[Point] = ()  # of a few trials only
    told: Sequence[Point] = ()  # what its service heard


@dataclass(frozen=True)
class Report:
    """All that the page shows. Trials stand best first, those without a score last."""

    kind: str
    name: str
    where: str
    trials: Sequence[Trial]
    metric: str = "mean_score"
    goal: str = MAXIMIZE
    objective: str = MEAN
    progress: str = ""  # a sentence, where the end has not come
    space: Mapping[str, Axis] = field(default_factory=dict)
    args: Sequence[str] = ()
    seeds: Mapping[str, int] = field(default_factory=dict)
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
