"""The command `python -m tuner reproduce`: runs a study's winner again, and says if it is the same.

Job dir, program and environment are as the study's own trials have them.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.outputs import recipe
from tuner.outputs.recipe import Recipe

if TYPE_CHECKING:
    from tuner.execution.trial import Outcome, Trial
    from tuner.execution.trial_command import Task


class ReproduceError(Exception):
    """A run that could not be repeated; the message is a sentence for the user."""


def add_flags(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="a study's best.json")
    command.add_argument(
        "--job-dir", default="", metavar="DIR", help="a new folder; default: one under runs/"
    )
    command.add_argument("--program", default="", help=argparse.SUPPRESS)


def reproduce(data: bytes, options: argparse.Namespace) -> int:
    """Runs it; 0 where it is reproduced, 1 where not, 128 + n where signal n ended it.

    Raises:
        NotARecipe: the file is no best.json.
        ReproduceError: it cannot be run here.
    """
    from tuner.execution.process_lock import StillRunning
    from tuner.execution.scheduler import Interrupted
    from tuner.search import curves

    found = recipe.read(data, options.file)
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = Path(options.job_dir or f"runs/reproduce-{now}").expanduser()
    if "://" in options.job_dir:
        raise ReproduceError(f"--job-dir must be a folder, but is {options.job_dir}.")
    if (folder / "manifest.json").exists():
        raise ReproduceError(
            f"{folder} must be a new folder, or that of a reproduction which was stopped, but holds"
            " a finished run, which would prove nothing. Take another."
        )
    print(f"reproduce: {found.seeds} agents of seed {found.seed}, in {folder}", flush=True)
    program = shlex.split(options.program) or [sys.executable, "-m", "trainer.task"]
    try:
        outcome = _run(found, folder, program)
    except Interrupted as interrupted:
        print(f"Stopped; with --job-dir {folder} the same command goes on.")
        return 128 + interrupted.number
    except StillRunning as error:
        raise ReproduceError(str(error)) from error
    except OSError as error:
        raise ReproduceError(
            f"{folder} must be a folder that can be written to, but: {error.strerror or error}."
        ) from error
    score = _score(folder, found, outcome)
    here = recipe.where(recipe.settings(folder))
    verdict = recipe.judge(found, curves.fingerprint(curves.read(folder)), here, score)
    print("\n".join(verdict.lines))
    return 0 if verdict.reproduced else 1


def _run(found: Recipe, folder: Path, program: list[str]) -> Outcome:
    """The run's end. Raises ReproduceError where it does not succeed."""
    from tuner.execution.scheduler import Engine, Interrupts
    from tuner.execution.trial import LOG, SUCCEEDED, Setting, Trial
    from tuner.execution.trial_command import Task
    from tuner.execution.worker_pool import Workers

    setting = Setting(program, os.environ, found.metric, folder.name, math.inf)
    left = [Task("winner", 1, folder, found.words(folder))]
    ended: list[Outcome] = []
    wrong = ""

    def watch(trial: Trial) -> None:
        """The trainer says which one it is before it begins to train."""
        nonlocal wrong
        versions = recipe.settings(folder).get("versions")
        here = versions.get("trainer") if isinstance(versions, dict) else None
        there = found.where.get("trainer")
        if not wrong and here is not None and here != there:
            wrong = (
                f"The trainer must be of version {there or 'unknown'}, which the study had, but is"
                f" {here}. Install that one."
            )
            trial.stop("it is another trainer's version")

    def done(task: Task, outcome: Outcome) -> None:
        ended.append(outcome)

    def launch(task: Task) -> Trial:
        """As it ran in the study."""
        return workers.launch(task) if found.stacked else Trial(task, setting)

    interrupts = Interrupts()
    with (
        interrupts.heard(lambda: print("Ctrl-C: the run ends first. Again: at once.")),
        contextlib.closing(Workers(1, setting, folder)) as workers,
    ):
        engine = Engine(launch, 1, interrupts)
        engine.run(lambda: left.pop() if left else None, done, watch)
    if wrong:
        raise ReproduceError(wrong)
    [outcome] = ended
    if outcome.state != SUCCEEDED:
        said = f" It said: {outcome.last_lines[-1]}" if outcome.last_lines else ""
        raise ReproduceError(
            f"The run must succeed, but ended with {outcome.reason} (log: {folder / LOG}).{said}"
        )
    return outcome


def _score(folder: Path, found: Recipe, outcome: Outcome) -> float | None:
    from tuner.outputs import results
    from tuner.search import objective

    reported = outcome.measurements[-1].value if outcome.measurements else None
    summary = results.summary(objective.read_scores(folder, reported))
    return summary.get("interquartile_mean")
