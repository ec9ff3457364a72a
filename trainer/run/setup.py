"""What a command comes to, found out before anything slow: service, environment, goal, metric."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from trainer.contract import service
from trainer.contract.settings import Batching, Command
from trainer.outputs.metrics import HypertuneReporter
from trainer.run.job_dir import BadCommand, Job, JobError

if TYPE_CHECKING:
    from trainer.environments.spec import Environment

log = logging.getLogger("trainer")


def find_service(environ: Mapping[str, str]) -> service.Service:
    try:
        return service.service(environ)
    except ValueError as error:
        raise BadCommand(str(error)) from error


def with_metric_tag(command: Command, wanted: str | None) -> Command:
    """The command, reporting under the tag that a service waits for."""
    options = command.options
    if wanted is None or wanted == options.metric_tag:
        return command
    if command.sources["metric_tag"] == "flag":
        raise BadCommand(
            f"`metric_tag` must be the one that the tuning service waits for, {wanted}, but got"
            f" metric_tag={options.metric_tag}; leave it out, or change the search space's."
        )
    try:
        options = dataclasses.replace(options, metric_tag=wanted)
    except ValueError as error:
        raise BadCommand(str(error)) from error
    sources = {**command.sources, "metric_tag": "service"}
    return dataclasses.replace(command, options=options, sources=sources)


def make_hypertune(command: Command, service: service.Service, job: Job) -> HypertuneReporter:
    options = command.options
    try:
        return HypertuneReporter(
            options.metric_tag,
            -(-options.total_steps // options.evaluation_every),
            trial=service.trial,
            restarted=job.earlier.begun,
        )
    except OSError as error:
        raise JobError(
            f"A tuning trial must write its metric to {error.filename}, but cannot"
            f" ({error.strerror}). On the tuning services that folder is root's: the image must run"
            " as root."
        ) from error


def find_environment(command: Command) -> Environment:
    """The environment, once it is clear that the chosen collector can step it."""
    from trainer.environments import spec

    options = command.options
    try:
        environment = spec.of_options(options)
    except ValueError as error:
        raise BadCommand(str(error)) from error
    if options.collector == "compiled" and not can_be_compiled(environment):
        raise BadCommand(
            "`collector` compiled knows CartPole-v0 and CartPole-v1 only, "
            f"but got environment={environment.id}; leave it at auto, or take gymnasium."
        )
    return environment


def can_be_compiled(environment: Environment) -> bool:
    """Whether `cartpole.VERSIONS` has it; asked before TensorFlow may be imported."""
    return environment.id in ("CartPole-v0", "CartPole-v1") and not environment.customised


def solved_at_score(command: Command, environment: Environment) -> float | None:
    """What counts as solved: the given number, else the environment's threshold, if it has one."""
    if command.options.stop_at_score in ("threshold", "none"):
        return environment.reward_threshold
    return float(command.options.stop_at_score)


def describe(command: Command, environment: Environment, job: Job) -> None:
    """Says what is about to run, and which flags come to something else than they say."""
    options, batching = (
        command.options,
        Batching(command.hyperparameters, command.options.algorithm),
    )
    agents = "1 agent" if options.seeds == 1 else f"{options.seeds} agents"
    batch = (
        f"{batching.num_envs} whole episodes"
        if batching.steps is None
        else f"{batching.batch_size} transitions ({batching.num_envs} x {batching.steps})"
    )
    log.info(
        "%s: %s on %s, up to %s steps each, an update every %s; everything goes to %s",
        options.algorithm.upper(), agents, environment.id, f"{options.total_steps:,}", batch,
        job.where,
    )  # fmt: skip
    if command.unused:
        log.warning(
            "%s has no use for %s; the run goes on without.",
            options.algorithm.upper(), " and ".join(f"--{name}" for name in command.unused),
        )  # fmt: skip
