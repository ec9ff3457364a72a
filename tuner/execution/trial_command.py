"""The command line and environment of a trial, as a tuning service would set them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TRAINER = (sys.executable, "-m", "trainer.task")  # what starts a run
_SERVICES = ("CLOUD_ML_", "AIP_", "TF_CONFIG", "CLUSTER_SPEC")


@dataclass(frozen=True)
class Task:
    """One run of the trainer."""

    name: str  # for display: trial 3
    trial: int  # from 1
    job_dir: Path
    words: tuple[str, ...]  # the command line, without the program
    may_stop_early: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)  # more environment variables


def words(
    args: Sequence[str],
    job_dir: Path | str,
    fixed: Mapping[str, object],
    tuned: Mapping[str, str],
) -> tuple[str, ...]:
    """The study's `args` first, tuned flags last: the trainer uses the last of repeated flags."""
    ours = [f"--{name}={value}" for name, value in fixed.items()]
    theirs = [f"--{name}={text}" for name, text in tuned.items()]
    return (*args, *ours, "--job-dir", str(job_dir), *theirs)


def environment(
    base: Mapping[str, str], *, trial: int, metric_file: Path, metric: str, job: str
) -> dict[str, str]:
    """`base` without a tuning service's variables, plus those of this trial."""
    config = {
        "cluster": {},
        "task": {"type": "master", "index": 0, "trial": str(trial)},
        "job": {"job_name": job},
        "environment": "cloud",
    }
    return outside_services(base) | {
        "CLOUD_ML_TRIAL_ID": str(trial),
        "CLOUD_ML_HP_METRIC_FILE": str(metric_file.absolute()),
        "CLOUD_ML_HP_METRIC_TAG": metric,
        "CLOUD_ML_JOB_ID": job,
        "TF_CONFIG": json.dumps(config),
    }


def outside_services(base: Mapping[str, str]) -> dict[str, str]:
    """`base` without a tuning service's variables."""
    return {name: value for name, value in base.items() if not name.startswith(_SERVICES)}
