"""Makes the plan of a study from its file and the flags of `run`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from trainer.contract import flags
from trainer.contract.errors import BadCommand
from trainer.storage.address import Address, locate
from tuner.execution.trial_command import TRAINER
from tuner.search import space, warm_start
from tuner.search.space import Value
from tuner.spec import trainer_rules
from tuner.spec.study_spec import (
    DISCRETE,
    DOUBLE,
    INTEGER,
    POPULATION,
    PROCESS,
    RAY,
    STACKED,
    StudySpec,
)
from tuner.study.plan import Plan

SEEDS = 5  # agents of a trial, if neither the command nor the file sets it
COMPILED = ("CartPole-v0", "CartPole-v1")  # environments that the trainer can compile


def make_plan(
    spec: StudySpec, options: argparse.Namespace, trainer: Sequence[str] = TRAINER
) -> Plan:
    """The plan from the file and the command.

    Args:
        trainer: the command that starts a trial.

    Raises:
        BadCommand: they cannot be carried out.
    """
    bucket, location = "", locate(options.job_dir)
    if isinstance(location, Address):
        bucket, job_dir = str(location), Path("runs") / location.bucket / location.prefix
    else:
        job_dir = location
    if options.image or (options.engine == RAY and not bucket):
        job_dir = job_dir.absolute()  # containers and other machines use the same path
    if spec.algorithm == POPULATION:
        raise BadCommand(
            f"{POPULATION} runs on AI Platform only. Delete the file's algorithm, or write another."
        )
    spec = with_args(spec, options.trainer_args)
    fixed = flags.given(spec.job.args)
    max_trials, cores = options.max_trials or spec.max_trials, os.cpu_count() or 1
    check_engine(options)
    stackable = tuple(trainer) == TRAINER and not options.image and can_be_stacked(spec)
    engine = options.engine or (STACKED if stackable else PROCESS)
    return Plan(
        spec=spec,
        job_dir=job_dir,
        objective=options.objective,
        max_trials=max_trials,
        max_failed=spec.max_failed_trials or math.ceil(max_trials / 3),
        engine=engine,
        parallel=options.parallel
        or (
            min(spec.max_parallel_trials, cores) if engine == PROCESS else spec.max_parallel_trials
        ),
        seed=fixed.get("seed", 0),
        seeds=options.seeds or fixed.get("seeds", SEEDS),
        candidates=options.candidates,
        confirm_seeds=options.confirm_seeds,
        test_seeds=options.test_seeds,
        deadline=time.monotonic() + options.timeout,
        trainer=tuple(trainer),
        bucket=bucket,
        image=options.image,
        stacked=engine == STACKED or (engine == RAY and stackable and not options.trial_gpus),
        address=(options.address or "auto") if engine == RAY else "",
        trial_cpus=options.trial_cpus or 1.0,
        trial_gpus=options.trial_gpus or 0.0,
        resume_from=warm_start.location(spec, options.resume_from, bucket or str(job_dir)),
    )


def spec_of(plan: Plan) -> StudySpec:
    """The file's study with the plan's values."""
    job = plan.spec.job
    return dataclasses.replace(
        plan.spec,
        max_trials=plan.max_trials,
        max_parallel_trials=plan.parallel,
        job=dataclasses.replace(job, args=(*job.args, f"--seeds={plan.seeds}")),
    )


def check_engine(options: argparse.Namespace) -> None:
    """Raises BadCommand for flags that do not go with the engine."""
    if options.engine in (STACKED, RAY) and options.image:
        raise BadCommand("--image runs each trial in a container of its own: --engine process.")
    if options.engine != RAY:
        for name in ("address", "trial_cpus", "trial_gpus"):
            if getattr(options, name):
                flag = name.replace("_", "-")
                raise BadCommand(f"--{flag} is for a Ray cluster: --engine ray.")


def can_be_stacked(spec: StudySpec) -> bool:
    """Whether training several trials in one process is faster: the environment is compiled."""
    settings = flags.settings_of(spec.job.args)
    return settings["environment"] in COMPILED and settings["collector"] != "gymnasium"


def with_args(spec: StudySpec, more: str) -> StudySpec:
    """The study with more trainer args. Raises BadCommand for args that the trainer refuses."""
    try:
        args = (*spec.job.args, *shlex.split(more))
    except ValueError as error:
        raise BadCommand(
            f"--trainer-args cannot be split into words: {error}. Check the quotes."
        ) from None
    longer = dataclasses.replace(spec, job=dataclasses.replace(spec.job, args=args))
    before = {diagnostic.message for diagnostic in trainer_rules.check(spec)}
    for diagnostic in trainer_rules.check(longer):
        if diagnostic.message not in before:
            raise BadCommand(f"--trainer-args: {diagnostic.message}")
    return longer


def defaults(spec: StudySpec) -> dict[str, Value]:
    """The trainer's defaults as a trial, each moved to the nearest value in its parameter's range.

    Words that the file does not list are left out.
    """
    settings = flags.settings_of(spec.job.args)
    found: dict[str, Value] = {}
    for parameter in spec.parameters:
        field = flags.find(parameter.name)
        assert field is not None, "lint refuses unknown names"
        wanted = settings[field.name]
        if parameter.type in (DOUBLE, INTEGER, DISCRETE):
            with contextlib.suppress(ValueError):
                found[parameter.name] = space.nearest(parameter, float(wanted))
        elif str(wanted) in parameter.words:
            found[parameter.name] = str(wanted)
    return found
