"""The command `python -m tuner fetch`: downloads the files of the best finished trial."""

from __future__ import annotations

import argparse
from pathlib import Path

from trainer.contract.errors import SUCCESS
from tuner.cloud import fetch, jobs
from tuner.commands.status import add_job


def add_flags(command: argparse.ArgumentParser) -> None:
    command.description = "Downloads the files of the best finished trial and verifies them."
    add_job(command, "JOB|GS", "a job, as for status; or the job dir of a trial or of a study")
    command.add_argument("--output", metavar="DIR", help="a new folder; default: JOB-TRIAL here")


def run(options: argparse.Namespace) -> int:
    """Downloads the files, all or none."""
    job_dir = options.job
    if not job_dir.startswith("gs://"):
        job = jobs.describe(job_dir, region=options.region, project=options.project)
        job_dir = jobs.best_job_dir(job)
    trial = fetch.best(job_dir)
    folder = Path(options.output or "-".join(trial.job_dir.split("/")[-2:]))
    files = fetch.fetch(trial.job_dir, folder)
    print(f"{folder} has the {len(files)} files of {trial.job_dir}, mean_score {trial.score:g}")
    return SUCCESS
