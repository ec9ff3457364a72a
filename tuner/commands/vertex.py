"""The command `python -m tuner vertex`: a search space as the configuration of a Vertex AI job."""

from __future__ import annotations

import argparse

from trainer.contract.errors import SUCCESS, BadCommand
from trainer.contract.text import shown
from tuner.cloud import vertex_job
from tuner.commands.errors import printed, read, write
from tuner.spec import loader


def add_flags(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Prints the configuration for `gcloud ai hp-tuning-jobs create --config`. Submits nothing."
    )
    add = command.add_argument
    add("file", metavar="FILE", help="a yaml file in the format of AI Platform")
    add("--image", required=True, help="the trainer's image, with a tag")
    add("--job-dir", required=True, metavar="GS",
        help="gs://BUCKET/JOB; each trial gets a folder in it")  # fmt: skip
    add("--display-name", default="", metavar="NAME", help="default: JOB")
    add("--spot", action="store_true", help="use cheaper machines, which may be taken away")
    add("--output", metavar="PATH", help="a file to write to; default: stdout")


def run(options: argparse.Namespace) -> int:
    """Writes the configuration."""
    spec = loader.load(read(options.file), options.file)
    if spec.vertex:
        raise BadCommand(
            f"{shown(options.file)} is a Vertex AI configuration already. Give it to `gcloud ai"
            " hp-tuning-jobs create --config`."
        )
    job = vertex_job.hp_tuning_job(
        spec,
        image=options.image,
        job_dir=options.job_dir,
        display_name=options.display_name,
        spot=options.spot,
    )
    text = vertex_job.as_yaml(job)
    if options.output:
        write(options.output, text)
        return SUCCESS
    return printed(text.rstrip("\n"))
