"""What a study is to do: its search, its budget, and the command of each of its runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuner.execution import trial_command
from tuner.execution.trial_command import TRAINER, Task
from tuner.search import space
from tuner.search.space import Value
from tuner.spec.study_spec import StudySpec


@dataclass(frozen=True)
class Plan:
    """All settings of a study."""

    spec: StudySpec
    job_dir: Path
    objective: str
    engine: str
    max_trials: int
    max_failed: int
    parallel: int
    seed: int  # of the tuning
    seeds: int  # agents of a trial
    candidates: int  # how many trials are confirmed
    confirm_seeds: int
    test_seeds: int
    deadline: float = math.inf  # time.monotonic() after which no trial is begun
    trainer: tuple[str, ...] = TRAINER  # the command that starts a trial
    bucket: str = ""  # gs://...; then `job_dir` is the local working copy
    image: str = ""  # trials run in containers of it
    stacked: bool = False  # trials share trainer processes, on each machine
    address: str = ""  # of a Ray cluster, which runs the trials
    trial_cpus: float = 1.0  # that a trial takes there
    trial_gpus: float = 0.0
    resume_from: str = ""  # an earlier study to learn from: a folder or gs://...

    @property
    def where(self) -> str:
        """The job dir as the user gave it."""
        return self.bucket or str(self.job_dir)

    @property
    def name(self) -> str:
        return self.job_dir.absolute().name or "study"

    def flags(self, values: Mapping[str, Value]) -> dict[str, str]:
        """Flag -> value of a trial."""
        return {
            parameter.name: space.text(parameter, values[parameter.name])
            for parameter in self.spec.parameters
        }

    def task(
        self,
        name: str,
        trial: int,
        job_dir: Path,
        seeds: tuple[int, int],
        tuned: Mapping[str, str],
        *,
        may_stop_early: bool = False,
        video: bool = True,
    ) -> Task:
        fixed = {"seed": seeds[0], "seeds": seeds[1]} | ({} if video else {"video": "false"})
        theirs = str(job_dir)
        if self.bucket:
            theirs = f"{self.bucket}/{job_dir.relative_to(self.job_dir).as_posix()}"
        words = trial_command.words(self.spec.job.args, theirs, fixed, tuned)
        return Task(name, trial, job_dir, words, may_stop_early)


def as_flags(tuned: Mapping[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in tuned.items()]


def identity(plan: Plan) -> dict[str, Any]:
    """The settings that identify a study, as JSON; its length is not one of them."""
    spec = plan.spec
    resumed = {"resumed": Path(plan.resume_from).name} if plan.resume_from else {}
    return {
        "parameters": {
            parameter.name: {
                "type": parameter.type,
                "minValue": parameter.low,
                "maxValue": parameter.high,
                "values": list(parameter.words or parameter.values),
                "scaleType": parameter.scale,
            }
            for parameter in spec.parameters
        },
        "metric": spec.metric,
        "goal": spec.goal,
        "measurement": spec.measurement,
        "algorithm": spec.algorithm or "unspecified",
        "args": " ".join(spec.job.args),
        "objective": plan.objective,
        "seed": plan.seed,
        "seeds": plan.seeds,
        **resumed,
    }
