"""The command `python -m tuner show`: shows a job dir in the terminal.

It only reads files, in any state: a study may be running, killed or damaged.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from trainer.contract.errors import Error
from trainer.contract.job_files import MANIFEST, METRICS, SETTINGS
from trainer.contract.statistics import interval
from trainer.contract.text import score, several, with_interval, wrapped
from trainer.storage import files
from trainer.storage.file_lock import is_locked
from trainer.storage.run_files import read_curve, read_json, read_scores
from tuner.commands.errors import printed, why
from tuner.execution.trial import LOG, SUCCEEDED
from tuner.outputs import terminal
from tuner.outputs.progress import shown_flags
from tuner.outputs.results import BEST, summary
from tuner.outputs.terminal import labelled, printable
from tuner.report import journal
from tuner.report.journal import KeptStudy
from tuner.search import objective
from tuner.search.trial_record import Record
from tuner.search.trial_store import FILE as STUDY
from tuner.spec.study_spec import IQM, MINIMIZE, OBJECTIVES

LOCK = "study.lock"
_OF_A_RUN = (MANIFEST, SETTINGS, METRICS, "checkpoint")
_DAMAGED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
_CURVE_LINES, _BAR = 12, 16  # lines and columns


class NothingThere(Error):
    """A folder with neither a study nor a run."""


def add_flags(command: argparse.ArgumentParser) -> None:
    command.description = "Shows the job dir of a study or of one run."
    command.add_argument("job_dir", metavar="JOB_DIR", help="a folder")


def run(options: argparse.Namespace) -> int:
    """Prints the state and results of a study or run."""
    console = terminal.console()
    try:
        lines = shown(Path(options.job_dir), console)
    except (OSError, ValueError) as error:
        raise Error(f"{printable(options.job_dir)} could not be read: {why(error)}.") from error
    return printed("\n".join(lines))


def shown(folder: Path, console: Console) -> list[str]:
    """The lines about a folder, wrapped to the console's width. Raises NothingThere."""
    if (folder / STUDY).exists() or (folder / BEST).exists():
        lines = list(_study(folder, console))
    elif any((folder / name).exists() for name in _OF_A_RUN):
        lines = list(_run(folder, console))
    else:
        raise NothingThere(
            f"{printable(str(folder))} has neither a study nor a run. Give the job dir of one."
        )
    text = "\n".join(wrapped(printable(line), console.width) for line in lines)
    return text.split("\n")


def _run(folder: Path, console: Console) -> Iterator[str]:
    if (manifest := read_json(folder / MANIFEST)) is None:
        damaged = (folder / MANIFEST).exists()
        state = f"{MANIFEST} is damaged" if damaged else "not finished; running or stopped"
        yield labelled("run", f"{folder}: {state}")
    else:
        yield labelled("run", f"{folder}: {manifest.get('state', 'finished')}")
    if (folder / METRICS).exists() and not read_curve(folder):
        yield labelled("damaged", f"{folder / METRICS} holds no report")
    scores = read_scores(folder, None)
    if scores.scores:
        yield _line("score", "final policies", summary(scores))
    yield from _curve(folder, console, str(folder))


def _study(folder: Path, console: Console) -> Iterator[str]:
    best, at_work = read_json(folder / BEST), is_locked(folder / LOCK)
    study = journal.read(_content(folder / STUDY))
    try:
        if study is None:
            raise ValueError("no study")
        yield from list(_described(folder, study, best, console, at_work=bool(at_work)))
    except _DAMAGED:
        state = "in progress" if at_work else "not running"
        yield labelled("study", f"{folder}: {state}; {STUDY} is damaged or missing")
        yield from _strays(folder, set())


def _described(
    folder: Path, study: KeptStudy, best: dict[str, Any] | None, console: Console, *, at_work: bool
) -> Iterator[str]:
    aim, goal = str(study.identity.get("objective")), str(study.identity.get("goal") or "")
    aim = aim if aim in OBJECTIVES else IQM
    sign = 1 if objective.direction(aim, goal) == MINIMIZE else -1
    trials = sorted(
        study.records, key=lambda trial: (_value(trial) is None, sign * (_value(trial) or 0.0))
    )
    over = sum(trial.over for trial in trials)
    state = "finished" if best else "not finished; the same command continues it"
    yield labelled(
        "study",
        f"{folder}: {'in progress' if at_work else state};"
        f" {over} of {several(len(trials), 'trial')} ended",
    )
    yield from _trials(trials, aim, console, at_work=at_work)
    yield from _problems(folder, trials)
    yield from _strays(folder, {str(trial.number) for trial in trials})
    winner = str(trials[0].number) if trials and _value(trials[0]) is not None else ""
    if (folder / BEST).exists():
        yield from _end(best, f"{BEST}, from before the study continued," if at_work else BEST)
        winner = str((best or {}).get("trial", winner))
    else:
        yield from _fresh(folder)
    if winner.isdecimal():
        yield from _curve(folder / winner, console, f"trial {winner}")


def _value(trial: Record) -> float | None:
    """A trial's objective; None if it did not succeed."""
    return trial.value if trial.state == SUCCEEDED else None


def _trials(
    trials: Sequence[Record], aim: str, console: Console, *, at_work: bool
) -> Iterator[str]:
    """A table, best first."""
    rows = [("trial", "state", aim, "flags")]
    for trial in trials:
        end, scores = trial.reason, trial.scores.scores
        if (value := _value(trial)) is not None:
            end = with_interval(value, *interval(scores)) if scores else score(value)
        state = trial.state if trial.over or at_work else "unfinished"
        flags = shown_flags([f"--{name}={value}" for name, value in trial.values.items()])
        rows.append((str(trial.number), state, end, flags))
    yield from terminal.table(console, [[*map(printable, row)] for row in rows])


def _problems(folder: Path, trials: Sequence[Record]) -> Iterator[str]:
    """Logs of failed trials, and damaged folders of successful ones."""
    for trial in trials:
        run_dir = folder / str(trial.number)
        if trial.state in ("FAILED", "INFEASIBLE"):
            yield labelled("failed", f"trial {trial.number}: log: {run_dir / LOG}")
        if trial.state != "SUCCEEDED":
            continue
        if not run_dir.is_dir():
            yield labelled("damaged", f"trial {trial.number}: its folder {run_dir} is missing")
        elif not read_scores(run_dir, None).scores:
            yield labelled(
                "damaged", f"trial {trial.number}: {run_dir / MANIFEST} is missing or damaged"
            )
        elif (run_dir / METRICS).exists() and not read_curve(run_dir):
            yield labelled("damaged", f"trial {trial.number}: {run_dir / METRICS} holds no report")


def _strays(folder: Path, known: set[str]) -> Iterator[str]:
    names = [p.name for p in folder.iterdir() if p.name.isdecimal() and p.name not in known]
    for name in sorted(names, key=int):
        yield labelled("damaged", f"{folder / name}: {STUDY} has no such trial")


def _end(best: Mapping[str, Any] | None, name: str) -> Iterator[str]:
    """The results of a finished study on fresh seeds."""
    try:
        assert best is not None
        confirm, test = best.get("confirm", {}), best["test"]
        lines = [_line("confirm", f"trial {number}", found) for number, found in confirm.items()]
        lines += [_line("test", who, found) for who, found in test.items()]
        if best["optimism_gap"] is not None:
            gap, claimed = float(best["optimism_gap"]), float(best["tuning"]["claimed"])
            lines.append(
                labelled(
                    "optimism",
                    f"{score(gap, claimed)}: the search claimed {score(claimed, gap)} for its best"
                    f" ({best['objective']})",
                )
            )
    except (*_DAMAGED, AssertionError):
        yield labelled(
            "damaged", f"{name} is incomplete; run the study's command again to write it"
        )
        return
    yield from lines


def _fresh(folder: Path) -> Iterator[str]:
    """The runs on fresh seeds of a study that has not ended."""
    for run_dir in sorted([*folder.glob("confirm-*/*"), *folder.glob("test-*/*")]):
        if not run_dir.is_dir():
            continue
        scores = read_scores(run_dir, None)
        name = f"{run_dir.parent.name}/{run_dir.name}"
        word = run_dir.parent.name.split("-")[0]
        if scores.scores:
            yield _line(word, name, summary(scores))
        else:
            yield labelled(word, f"{name}: not finished")


def _line(word: str, who: str, found: Mapping[str, Any]) -> str:
    if not found:
        return labelled(word, f"{who}: no score")
    text = with_interval(float(found["interquartile_mean"]), *map(float, found["interval"]))
    return labelled(word, f"{who}: {text}, {several(found['agents'], 'seed')}")


def _curve(folder: Path, console: Console, title: str) -> Iterator[str]:
    """The learning curve: some of its points, in numbers and as bars."""
    points = list({point.step: point for point in read_curve(folder)}.values())
    if not points:
        yield labelled("curve", f"{title}: no reports")
        return
    agents = len(points[-1].scores)
    yield labelled(
        "curve", f"{title}: the mean, the worst and the best of {several(agents, 'agent')}"
    )
    every = max(1, -(-len(points) // _CURVE_LINES))
    some = points[::-every][::-1]  # the last is one of them
    low, high = min(point.mean for point in some), max(point.mean for point in some)
    block = "\N{FULL BLOCK}" if console.encoding.startswith("utf") else "#"
    rows: list[tuple[str, ...]] = [("steps", "mean", "worst", "best", "")]
    for point in some:
        three = (point.mean, min(point.known), max(point.known))
        bar = block * round(1 + (_BAR - 1) * (point.mean - low) / (high - low or 1.0))
        rows.append((f"{point.step:,}", *(score(number, *three) for number in three), bar))
    yield from terminal.table(console, rows, numbers=4)


def _content(file: Path) -> bytes:
    try:
        return files.read(file)
    except OSError:
        return b""
