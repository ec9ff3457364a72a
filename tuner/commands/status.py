"""The command `python -m tuner status`: the trials of a tuning job in the cloud, best first."""

from __future__ import annotations

import argparse

from tuner.cloud import jobs
from tuner.commands.errors import printed


def add_flags(command: argparse.ArgumentParser) -> None:
    command.description = "Asks gcloud for a tuning job and lists its trials, best first."
    add_job(command, "JOB", "number or path of a job of Vertex AI, or name of one of AI Platform")


def add_job(command: argparse.ArgumentParser, name: str, help: str) -> None:
    """The flags that name a job."""
    command.add_argument("job", metavar=name, help=help)
    command.add_argument("--region", default="", help="of a job of Vertex AI")
    command.add_argument("--project", default="", help="default: the project gcloud is set to")


def run(options: argparse.Namespace) -> int:
    """Prints a table."""
    job = jobs.describe(options.job, region=options.region, project=options.project)
    return printed(jobs.table(job))
