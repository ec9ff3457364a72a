"""Checks and resolves a command before anything slow, and before any file is touched."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.contract.errors import BadCommand
from trainer.contract.service import Service, service
from trainer.contract.settings import Command, RunOptions
from trainer.run import preflight
from trainer.storage.address import Address, locate

if TYPE_CHECKING:
    from trainer.environments.spec import Environment


@dataclass(frozen=True)
class Prepared:
    """A checked command, with its environment, location and service."""

    command: Command
    arguments: Sequence[str]  # the command as it was given
    service: Service  # what a training service asks for
    environment: Environment
    goal: float | None  # the score that counts as solved
    location: Path | Address  # of the job dir
    video_problem: str | None  # why no video can be recorded, if one is wanted


def prepare(command: Command, arguments: Sequence[str], environ: Mapping[str, str]) -> Prepared:
    """Checks a command and its surroundings.

    Args:
        environ: environment variables; training services set some.

    Raises:
        BadCommand: the command cannot be carried out.
    """
    try:
        wanted = service(environ)
        command = _with_metric_tag(command, wanted.metric_tag)
        environment = _find_environment(command.options)
    except ValueError as error:
        raise BadCommand(str(error)) from error
    location = locate(command.options.job_dir or wanted.job_dir or _new_folder(command.options))
    preflight.check_path(location)
    return Prepared(
        command,
        arguments,
        wanted,
        environment,
        _goal(command.options, environment),
        location,
        preflight.find_video_problem(command, environment),
    )


def _with_metric_tag(command: Command, expected: str | None) -> Command:
    """The command, reporting under the tag that a tuning service expects."""
    options = command.options
    if expected is None or expected == options.metric_tag:
        return command
    if command.sources["metric_tag"] == "flag":
        raise BadCommand(
            f"The tuning service expects the metric {expected!r}, but `metric_tag` is"
            f" {options.metric_tag!r}. Leave --metric_tag out, or change the search space."
        )
    sources = {**command.sources, "metric_tag": "service"}
    options = dataclasses.replace(options, metric_tag=expected)
    return dataclasses.replace(command, options=options, sources=sources)


def _find_environment(options: RunOptions) -> Environment:
    """The environment, after a check that the chosen collector can step it."""
    from trainer.environments import spec  # imports Gymnasium

    environment = spec.of_options(options)
    if options.collector == "compiled" and not can_be_compiled(environment):
        raise BadCommand(
            f"The compiled collector does not know {environment.id}, only CartPole-v0 and"
            " CartPole-v1. Leave `collector` at auto, or use gymnasium."
        )
    return environment


def can_be_compiled(environment: Environment) -> bool:
    """Whether `cartpole.VERSIONS` has it, which imports TensorFlow and so cannot be asked here."""
    return environment.id in ("CartPole-v0", "CartPole-v1") and not environment.customised


def _goal(options: RunOptions, environment: Environment) -> float | None:
    """The score that counts as solved: the one given, or the environment's own threshold."""
    if options.stop_at_score in ("threshold", "none"):
        return environment.reward_threshold
    return float(options.stop_at_score)


def _new_folder(options: RunOptions) -> str:
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"runs/{options.algorithm}-{options.environment}-{now}"
