"""A study: what to search, how, and the job that each trial is. One for both dialects."""

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
# What a study here makes best of the scores of a trial's agents.
IQM, MEAN, LOWER_BOUND, STEPS_TO_SOLVE = "iqm", "mean", "lower_bound", "steps_to_solve"
OBJECTIVES = (IQM, MEAN, LOWER_BOUND, STEPS_TO_SOLVE)
# How it trains them: several trials in a process, each in its own, or on a Ray cluster.
STACKED, PROCESS, RAY = ENGINES = ("stacked", "process", "ray")
MEDIAN, DECAY_CURVE, CONVEX = "median", "decay_curve", "convex"

_NOWHERE = Location("", 1, 1)


@dataclass(frozen=True)
class Locations:
    """Where in a file each field stands; what is not written stands where the whole does.

    Items of a list have their own: `args.0`. Two studies that differ in locations only are equal.
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
        """The numbers that bound it, or that it chooses from, and where they stand."""
        bounds = [("low", self.low), ("high", self.high)]
        choices = [(f"values.{index}", value) for index, value in enumerate(self.values)]
        return [(n, self.locations[name]) for name, n in (*bounds, *choices) if n is not None]


@dataclass(frozen=True)
class TrialJob:
    """How the program of a trial is started, the same for every trial."""

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
    max_failed_trials: int = 0  # 0: whoever runs the study decides
    algorithm: str = ""  # "": Bayesian optimisation
    early_stopping: str = ""  # "", median, decay_curve or convex
    measurement: str = LAST  # which of a trial's reports counts
    resume: str = ""  # the job whose trials to learn from
    job: TrialJob = field(default_factory=TrialJob)
    kms_key: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()  # fields of the file that have no location here
    vertex: bool = field(default=False, compare=False)  # the dialect of the file
    locations: Locations = field(default_factory=Locations, compare=False, repr=False)
