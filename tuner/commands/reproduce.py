"""The command `python -m tuner reproduce`: runs a study's winner again and compares the two.

The program and environment are those of a study's trials.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import shlex
from datetime import datetime
from pathlib import Path

from trainer.contract.errors import FAILED, SUCCESS, BadCommand, Error
from trainer.contract.run_record import fingerprint
from trainer.storage.run_files import read_curve, read_scores, read_settings
from tuner.commands.errors import read, why
from tuner.execution.local_trial import TrialSettings
from tuner.execution.processes import ProcessExecutor
from tuner.execution.scheduler import Executor, Interrupted, Interrupts, Scheduler
from tuner.execution.trial import LOG, SUCCEEDED, Outcome, Trial
from tuner.execution.trial_command import Task
from tuner.execution.worker_pool import StackExecutor
from tuner.outputs import recipe, results
from tuner.outputs.recipe import Recipe


def add_flags(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Runs the winner of a best.json again and compares: to the last bit on the same machine"
        " type and versions, elsewhere within the interval of its score. Exit code 1 where they"
        " differ."
    )
    command.add_argument("file", metavar="FILE", help="a study's best.json")
    command.add_argument(
        "--job-dir", default="", metavar="DIR", help="a new folder; default: one under runs/"
    )
    for name in recipe.IMPORTED:
        command.add_argument(
            f"--{name}", default="", metavar="MODULE:NAME", help="as in FILE, to allow its import"
        )


def run(options: argparse.Namespace) -> int:
    """0 if the run is reproduced, 1 if not, 128 + n if signal n ended it."""
    found = recipe.read(read(options.file), options.file)
    for name, value in found.modules.items():
        if getattr(options, name) != value:
            raise BadCommand(
                f"{options.file} names {name} {value}, which imports a module. If you trust it, add"
                f" --{name} {shlex.quote(value)}"
            )
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = Path(options.job_dir or f"runs/reproduce-{now}").expanduser()
    if "://" in options.job_dir:
        raise BadCommand(f"--job-dir {options.job_dir} is not a folder. Give a new folder.")
    if (folder / "manifest.json").exists():
        raise Error(
            f"{folder} has a finished run, which would not be repeated. Give a new folder, or that"
            " of an interrupted reproduction."
        )
    print(f"reproduce: {found.seeds} agents of seed {found.seed}, in {folder}", flush=True)
    try:
        outcome = _run(found, folder, options)
    except Interrupted as interrupted:
        print(f"Stopped; the same command with --job-dir {shlex.quote(str(folder))} continues.")
        return 128 + interrupted.number
    except OSError as error:
        raise Error(f"{folder} could not be written: {why(error)}.") from error
    score = _score(folder, found, outcome)
    here = recipe.where(read_settings(folder))
    verdict = recipe.judge(found, fingerprint(read_curve(folder)), here, score)
    print("\n".join(verdict.lines))
    return SUCCESS if verdict.reproduced else FAILED


def _run(found: Recipe, folder: Path, options: argparse.Namespace) -> Outcome:
    """Runs the winner. Raises Error if the run fails."""
    settings = TrialSettings(options.trainer, options.environ, found.metric, folder.name, math.inf)
    left = [Task("winner", 1, folder, found.words(folder))]
    ended: list[Outcome] = []
    wrong = ""

    def why_stop(trial: Trial) -> str:
        """Stops a trainer of another version, which it records before training."""
        nonlocal wrong
        versions = read_settings(folder).get("versions")
        here = versions.get("trainer") if isinstance(versions, dict) else None
        there = found.where.get("trainer")
        if not wrong and here is not None and here != there:
            wrong = (
                f"The trainer here is version {here}, but the study had version"
                f" {there or 'unknown'}. Install that version."
            )
        return wrong

    def done(task: Task, outcome: Outcome) -> None:
        ended.append(outcome)

    # Stacked if the winner was: stacked training rounds sums differently.
    executor: Executor = (
        StackExecutor(settings, 1, folder) if found.stacked else ProcessExecutor(settings)
    )
    interrupts = Interrupts()
    with (
        interrupts.handled(
            lambda: print("Ctrl-C: the run ends first. Press again to stop at once.")
        ),
        contextlib.closing(executor),
    ):
        scheduler = Scheduler(executor, 1, interrupts)
        scheduler.run(lambda: left.pop() if left else None, done, why_stop)
    if wrong:
        raise Error(wrong)
    [outcome] = ended
    if outcome.state != SUCCEEDED:
        message = f" Its last line: {outcome.last_lines[-1]}" if outcome.last_lines else ""
        raise Error(f"The run failed with {outcome.reason} (log: {folder / LOG}).{message}")
    return outcome


def _score(folder: Path, found: Recipe, outcome: Outcome) -> float | None:
    reported = outcome.measurements[-1].value if outcome.measurements else None
    summary = results.summary(read_scores(folder, reported))
    return summary.get("interquartile_mean")
