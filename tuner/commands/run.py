"""The command `python -m tuner run`: its flags, and the plan that they and the file make."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gc
import math
import os
import re
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from trainer.contract import flags
from tuner.spec import trainer_rules
from tuner.spec.diagnostics import shown
from tuner.spec.study_spec import (
    DISCRETE,
    DOUBLE,
    ENGINES,
    INTEGER,
    OBJECTIVES,
    POPULATION,
    PROCESS,
    STACKED,
    StudySpec,
)

if TYPE_CHECKING:
    from tuner.search.space import Value
    from tuner.study.plan import Plan

SEEDS = 5  # agents of a trial, where neither the command nor the file says
LEAST_CONFIRM_SEEDS, LEAST_TEST_SEEDS = 10, 20
COMPILED = ("CartPole-v0", "CartPole-v1")  # environments that the trainer can compile
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


class RunError(Exception):
    """A study that came to no result; the message is a sentence for the user."""


def add_flags(command: argparse.ArgumentParser) -> None:
    """The flags of `run`."""
    add = command.add_argument
    add("file", metavar="FILE", help="a yaml file, of either dialect")
    add("--job-dir", required=True, metavar="DIR",
        help="a folder, or gs://BUCKET/PATH; each trial gets a part")  # fmt: skip
    add("--max-trials", type=_count(1), metavar="N", help="default: as the file says")
    add("--timeout", type=_duration, default=math.inf, metavar="TIME",
        help="begin no trial of the search after so long: 90, 15m, 2h")  # fmt: skip
    add("--trainer-args", default="", metavar="WORDS", help="more args, after those of the file")
    add("--parallel", type=_count(1), metavar="N",
        help="trials at a time; default: as the file says, of processes one a core")  # fmt: skip
    add("--engine", choices=ENGINES,
        help="train trials together in few processes, or each in its own; default: stacked where"
        " environments can be compiled")  # fmt: skip
    add("--seeds", type=_count(1), metavar="N",
        help=f"agents of each trial; default: as the file's args say, else {SEEDS}")  # fmt: skip
    add("--objective", choices=OBJECTIVES, default=OBJECTIVES[0],
        help="what is made best of a trial's agents: interquartile mean (default), mean, lower"
        " bound of the interval, or steps to solve")  # fmt: skip
    add("--candidates", type=_count(1), default=5, metavar="N",
        help="trials that are trained again on fresh seeds (default: 5)")  # fmt: skip
    add("--confirm-seeds", type=_count(LEAST_CONFIRM_SEEDS), default=LEAST_CONFIRM_SEEDS,
        metavar="N", help=f"fresh seeds of each (default: {LEAST_CONFIRM_SEEDS})")  # fmt: skip
    add("--test-seeds", type=_count(LEAST_TEST_SEEDS), default=LEAST_TEST_SEEDS, metavar="N",
        help=f"fresh seeds of the final test (default: {LEAST_TEST_SEEDS})")  # fmt: skip
    for flag in ("--storage", "--study-name", "--heartbeat"):
        add(flag, action=_Replaced, nargs="?", help=argparse.SUPPRESS)
    add("--hostile", action="store_true",
        help="send flags as the worst of services has: --name 32.0")  # fmt: skip
    add("--image", default="", metavar="IMAGE",
        help="run trials in containers of it, by CONTAINER_ENGINE or docker")  # fmt: skip
    add("--resume-from", default="", metavar="DIR",
        help="a study whose trials the search knows of; default: the resumePreviousJobId of the"
        " file, beside the job dir")  # fmt: skip
    add("--program", default="", help=argparse.SUPPRESS)  # in place of the trainer, for tests


class _Replaced(argparse.Action):
    """A flag of an earlier version, which shared a study among machines by a database."""

    def __call__(self, parser: argparse.ArgumentParser, *given: object) -> NoReturn:
        parser.error(
            f"{self.option_strings[0]} was replaced by --engine ray, which runs the trials of one"
            " study on many machines"
        )


def run(spec: StudySpec, options: argparse.Namespace) -> int:
    """Carries the study out; 0, or 128 + n where signal n ended it.

    Raises:
        ValueError: the command cannot be carried out as it is given.
        RunError: the study came to no result.
    """
    gc.disable()  # what imports make is there to stay; looking through it is a third of their time
    try:
        try:
            import optuna  # noqa: F401
        except ImportError:
            wrong = "a study must have Optuna. Install it: pip install '.[tuner]'"
            raise ValueError(wrong) from None
        from tuner.outputs.live_display import Display
        from tuner.study import lifecycle

        gc.freeze()
    finally:
        gc.enable()
    plan = make_plan(spec, options)
    program = shlex.split(options.program) or [sys.executable, "-m", "trainer.task"]
    try:
        return lifecycle.study(plan, program, defaults(spec), Display())
    except lifecycle.FAULTS as fault:
        raise RunError(str(fault)) from fault
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise RunError(
            f"The study must be able to read and write its files, but: {error.strerror or error}"
            f"{where}. The same command goes on."
        ) from error


def make_plan(spec: StudySpec, options: argparse.Namespace) -> Plan:
    """What the file and the command ask for together. Raises ValueError."""
    from tuner.execution.bucket import parse
    from tuner.search import warm_start
    from tuner.study.plan import Plan

    bucket, job_dir = "", Path(options.job_dir).expanduser()
    if "://" in options.job_dir:
        name, path = parse(options.job_dir)
        bucket, job_dir = f"gs://{name}/{path}", Path("runs") / name / path
    if options.image:  # a folder has the same path inside
        job_dir = job_dir.absolute()
    if spec.algorithm == POPULATION:
        raise ValueError(
            f"{POPULATION} runs on AI Platform only. Delete the file's algorithm, or write another."
        )
    spec = with_args(spec, options.trainer_args)
    fixed = flags.given(spec.job.args)
    max_trials, cores = options.max_trials or spec.max_trials, os.cpu_count() or 1
    if options.engine == STACKED and (options.image or options.program):
        raise ValueError("--image runs each trial in a container of its own: --engine process.")
    engine = options.engine or (STACKED if can_be_stacked(spec, options) else PROCESS)
    return Plan(
        spec=spec,
        job_dir=job_dir,
        objective=options.objective,
        max_trials=max_trials,
        max_failed=spec.max_failed_trials or math.ceil(max_trials / 3),
        engine=engine,
        parallel=options.parallel
        or (
            spec.max_parallel_trials if engine == STACKED else min(spec.max_parallel_trials, cores)
        ),
        seed=fixed.get("seed", 0),
        seeds=options.seeds or fixed.get("seeds", SEEDS),
        candidates=options.candidates,
        confirm_seeds=options.confirm_seeds,
        test_seeds=options.test_seeds,
        deadline=time.monotonic() + options.timeout,
        hostile=options.hostile,
        bucket=bucket,
        image=options.image,
        resume_from=warm_start.place(spec, options.resume_from, bucket or str(job_dir)),
    )


def can_be_stacked(spec: StudySpec, options: argparse.Namespace) -> bool:
    """Whether a process that trains several trials at once gains anything."""
    settings = flags.settings_of(spec.job.args)
    return (
        not options.program
        and not options.image
        and settings["environment"] in COMPILED
        and settings["collector"] != "gymnasium"
    )


def with_args(spec: StudySpec, more: str) -> StudySpec:
    """The study with more args for its trainer. Raises ValueError for what that would refuse."""
    try:
        args = (*spec.job.args, *shlex.split(more))
    except ValueError as error:
        raise ValueError(f"--trainer-args must be words of a shell, but: {error}.") from None
    longer = dataclasses.replace(spec, job=dataclasses.replace(spec.job, args=args))
    before = {finding.message for finding in trainer_rules.check(spec)}
    for finding in trainer_rules.check(longer):
        if finding.message not in before:
            raise ValueError(f"--trainer-args: {finding.message}")
    return longer


def defaults(spec: StudySpec) -> dict[str, Value]:
    """The trainer's defaults as a trial, each as near as its parameter's range comes to it.

    Words that the file does not offer are left out.
    """
    from tuner.search import space

    settings = flags.settings_of(spec.job.args)
    found: dict[str, Value] = {}
    for parameter in spec.parameters:
        field = flags.find(parameter.name)
        assert field is not None, "lint lets no other through"
        wanted = settings[field.name]
        if parameter.type in (DOUBLE, INTEGER, DISCRETE):
            with contextlib.suppress(ValueError):
                found[parameter.name] = space.nearest(parameter, float(wanted))
        elif str(wanted) in parameter.words:
            found[parameter.name] = str(wanted)
    return found


def _count(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
            wrong = f"must be a whole number, {least} or more, but is {shown(text)}"
            raise argparse.ArgumentTypeError(wrong)
        return int(text)

    return read


def _duration(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(
            f"must be a time such as 90, 15m, 2h, but is {shown(text)}"
        )
    return float(found[1]) * _UNITS[found[2]]
