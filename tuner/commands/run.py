"""The command `python -m tuner run`: searches on this machine, then confirms and tests."""

from __future__ import annotations

import argparse
import gc
import math
import re
from collections.abc import Callable
from typing import NoReturn

from trainer.contract.errors import BadCommand, Error
from trainer.contract.text import shown
from tuner.commands.errors import read, why
from tuner.spec import loader, warnings
from tuner.spec.study_spec import ENGINES, OBJECTIVES

LEAST_CONFIRM_SEEDS, LEAST_TEST_SEEDS = 10, 20
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def add_flags(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Runs a study here: searches, trains the best trials again on fresh seeds, and tests the"
        " winner on other seeds. The same command continues a study."
    )
    add = command.add_argument
    add("file", metavar="FILE", help="a yaml file, in the format of AI Platform or of Vertex AI")
    add("--job-dir", required=True, metavar="DIR",
        help="a folder, or gs://BUCKET/PATH; each trial gets a folder in it")  # fmt: skip
    add("--max-trials", type=_count(1), metavar="N", help="default: as in the file")
    add("--timeout", type=_duration, default=math.inf, metavar="TIME",
        help="start no trial of the search after this time: 90, 15m, 2h")  # fmt: skip
    add("--trainer-args", default="", metavar="WORDS", help="more args, after those of the file")
    add("--parallel", type=_count(1), metavar="N",
        help="trials at a time; default: as in the file, but with --engine process at most one"
        " per core")  # fmt: skip
    add("--engine", choices=ENGINES,
        help="train many trials in each of a few processes, each trial in its own process, or on a"
        " Ray cluster; default: stacked if the environment can be compiled")  # fmt: skip
    add("--address", default="", metavar="WHERE",
        help="with --engine ray: auto, the cluster of this machine (default), or"
        " ray://HOST:10001")  # fmt: skip
    add("--trial-cpus", type=_amount, metavar="N",
        help="with --engine ray: CPUs per trial (default: 1)")  # fmt: skip
    add("--trial-gpus", type=_amount, metavar="N",
        help="with --engine ray: GPUs per trial (default: 0)")  # fmt: skip
    add("--seeds", type=_count(1), metavar="N",
        help="agents of each trial; default: as in the file's args, else 5")  # fmt: skip
    add("--objective", choices=OBJECTIVES, default=OBJECTIVES[0],
        help="statistic over a trial's agents to optimize: interquartile mean (default), mean,"
        " lower bound of the interval, or steps to solve")  # fmt: skip
    add("--candidates", type=_count(1), default=5, metavar="N",
        help="trials that are trained again on fresh seeds (default: 5)")  # fmt: skip
    add("--confirm-seeds", type=_count(LEAST_CONFIRM_SEEDS), default=LEAST_CONFIRM_SEEDS,
        metavar="N", help=f"fresh seeds of each (default: {LEAST_CONFIRM_SEEDS})")  # fmt: skip
    add("--test-seeds", type=_count(LEAST_TEST_SEEDS), default=LEAST_TEST_SEEDS, metavar="N",
        help=f"fresh seeds of the final test (default: {LEAST_TEST_SEEDS})")  # fmt: skip
    for flag in ("--storage", "--study-name", "--heartbeat"):
        add(flag, action=_Replaced, nargs="?", help=argparse.SUPPRESS)
    add("--image", default="", metavar="IMAGE",
        help="run trials in containers of this image, with CONTAINER_ENGINE or docker")  # fmt: skip
    add("--resume-from", default="", metavar="DIR",
        help="an earlier study to learn from; default: the file's resumePreviousJobId, beside the"
        " job dir")  # fmt: skip


class _Replaced(argparse.Action):
    """A flag of an earlier version, which shared a study between machines through a database."""

    def __call__(self, parser: argparse.ArgumentParser, *given: object) -> NoReturn:
        parser.error(
            f"{self.option_strings[0]} was replaced by --engine ray, which runs the trials of one"
            " study on many machines"
        )


def run(options: argparse.Namespace) -> int:
    """Runs the study; returns 0, or 128 + n if signal n ended it."""
    spec = loader.load(read(options.file), options.file)
    gc.disable()  # garbage collection takes a third of the time of these imports
    try:
        from tuner.outputs.live_display import Display
        from tuner.study import lifecycle, plan_from_command

        gc.freeze()
    except ImportError as error:
        raise BadCommand(f"{error.name} is not installed. Run: pip install '.[tuner]'") from error
    finally:
        gc.enable()
    try:
        plan = plan_from_command.make_plan(spec, options, options.trainer)
        first, display = plan_from_command.defaults(spec), Display()
        for warning in warnings.check(plan_from_command.spec_of(plan)):
            display.line(str(warning))
        return lifecycle.study(plan, first, options.environ, display)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise Error(
            f"The study's files could not be read or written: {why(error)}{where}. The same command"
            " continues the study."
        ) from error


def _count(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < least:
            wrong = f"{shown(text)} is not a whole number of {least} or more"
            raise argparse.ArgumentTypeError(wrong)
        return int(text)

    return read


def _amount(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4})?", text) or float(text) == 0:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a number above 0")
    return float(text)


def _duration(text: str) -> float:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(
            f"{shown(text)} is not a time. Give one such as 90, 15m or 2h"
        )
    return float(found[1]) * _UNITS[found[2]]
