"""A study's specification for both dialects: the search space, the search, the trials' job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tuner.spec.diagnostics import Location

DOUBLE, INTEGER, CATEGORICAL, DISCRETE = "DOUBLE", "INTEGER", "CATEGORICAL", "DISCRETE"
NO_SCALE, LINEAR = "NONE", "UNIT_LINEAR_SCALE"
LOG, REVERSE_LOG = "UNIT_LOG_SCALE", "UNIT_REVERSE_LOG_SCALE"
GRID, RANDOM, POPULATION = "GRID_SEARCH", "RANDOM_SEARCH", "POPULATION_BASED_TRAINING"
MAXIMIZE, MINIMIZE = "MAXIMIZE", "MINIMIZE"
LAST, BEST = "LAST_MEASUREMENT", "BEST_MEASUREMENT"
# Objectives: statistics over the scores of a trial's agents.
IQM, MEAN, LOWER_BOUND, STEPS_TO_SOLVE = "iqm", "mean", "lower_bound", "steps_to_solve"
OBJECTIVES = (IQM, MEAN, LOWER_BOUND, STEPS_TO_SOLVE)
# Engines: several trials in a process, each in its own, or on a Ray cluster.
STACKED, PROCESS, RAY = ENGINES = ("stacked", "process", "ray")
MEDIAN, DECAY_CURVE, CONVEX = "median", "decay_curve", "convex"

_NOWHERE = Location("", 1, 1)


@dataclass(frozen=True)
class Locations:
    """The location of each field in the file; a missing field has that of its parent.

    List items have their own: `args.0`. Two studies that differ only in locations are equal.
    """

    home: Location = _NOWHERE
    of: Mapping[str, Location] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Location:
        return self.of.get(name, self.home)

    def __contains__(self, name: str) -> bool:
        return name in self.of


@dataclass(frozen=True)
class Parameter:
    """One dimension of the search."""

    name: str
    type: str  # DOUBLE, INTEGER, CATEGORICAL or DISCRETE
    low: int | float | None = None  # DOUBLE and INTEGER
    high: int | float | None = None
    words: tuple[str, ...] = ()  # CATEGORICAL
    values: tuple[float, ...] = ()  # DISCRETE
    scale: str = NO_SCALE
    locations: Locations = field(default_factory=Locations, compare=False, repr=False)

    @property
    def numbers(self) -> list[tuple[float, Location]]:
        """The bounds or the discrete values, with their locations."""
        bounds = [("low", self.low), ("high", self.high)]
        choices = [(f"values.{index}", value) for index, value in enumerate(self.values)]
        return [(n, self.locations[name]) for name, n in (*bounds, *choices) if n is not None]


@dataclass(frozen=True)
class TrialJob:
    """How each trial's program is started."""

    args: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    image: str = ""
    job_dir: str = ""
    machine_type: str = ""
    accelerator: str = ""
    accelerator_count: int = 0
    disk_gb: int = 0
    disk_type: str = ""
    timeout: str = ""  # as the services write it: 3600s
    spot: bool = False
    restart_on_worker_restart: bool = False
    service_account: str = ""
    network: str = ""
    web_access: bool = False
    locations: Locations = field(default_factory=Locations, compare=False, repr=False)


@dataclass(frozen=True)
class StudySpec:
    """A search space, its budget and its trials."""

    metric: str
    parameters: tuple[Parameter, ...]
    goal: str = MAXIMIZE
    max_trials: int = 1
    max_parallel_trials: int = 1
    max_failed_trials: int = 0  # 0: the service or tuner decides
    algorithm: str = ""  # "": Bayesian optimisation
    early_stopping: str = ""  # "", median, decay_curve or convex
    measurement: str = LAST  # which report is a trial's score
    resume: str = ""  # an earlier job to learn from
    job: TrialJob = field(default_factory=TrialJob)
    kms_key: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()  # fields of the file that this class does not have
    vertex: bool = field(default=False, compare=False)  # the dialect of the file
    locations: Locations = field(default_factory=Locations, compare=False, repr=False)
