"""The command `python -m tuner show`: what lies in a job dir, in the terminal.

It reads files only, in whatever state they are: a study may be at work, killed or damaged.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trainer.contract.errors import Error
from trainer.contract.job_files import MANIFEST, METRICS, SETTINGS
from trainer.contract.run_record import Scores
from trainer.contract.statistics import interval
from trainer.storage.file_lock import is_locked
from trainer.storage.run_files import read_curve, read_json, read_scores
from tuner.cloud import jobs
from tuner.cloud.job_json import STUDY
from tuner.commands.errors import printed, why
from tuner.execution.trial import LOG
from tuner.outputs import plot, terminal
from tuner.outputs.progress import shown_flags
from tuner.outputs.results import BEST, summary
from tuner.outputs.terminal import Screen, printable, wrapped
from tuner.search import objective
from tuner.spec.diagnostics import several
from tuner.spec.study_spec import IQM, MINIMIZE, OBJECTIVES

STUDY_FILE, LOCK = "study.journal", "study.lock"
_OF_A_RUN = (MANIFEST, SETTINGS, METRICS, "checkpoint")
_DAMAGED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


class NothingThere(Error):
    """A folder with neither a study nor a run; the message is a sentence."""


def add_flags(command: argparse.ArgumentParser) -> None:
    command.description = "Shows what lies in the job dir of a study or of one run."
    command.add_argument("job_dir", metavar="JOB_DIR", help="a folder")


def run(options: argparse.Namespace) -> int:
    """Prints what lies there, in whatever state it is."""
    try:
        lines = job_dir(Path(options.job_dir), terminal.stdout())
    except (OSError, ValueError) as error:
        raise Error(f"{printable(options.job_dir)} could not be read: {why(error)}.") from error
    return printed("\n".join(lines))


class Row(NamedTuple):
    """A trial in the table."""

    number: str
    state: str
    scores: Scores
    value: float | None  # what the study makes best
    reason: str
    parameters: Mapping[str, Any]


def job_dir(folder: Path, to: Screen) -> list[str]:
    """The lines about a folder. Raises NothingThere."""
    if (folder / STUDY).exists() or (folder / STUDY_FILE).exists():
        lines = list(_study(folder, to))
    elif any((folder / name).exists() for name in _OF_A_RUN):
        lines = list(_run(folder, to))
    else:
        raise NothingThere(
            f"{printable(str(folder))} must be the job dir of a study or of a run, but holds"
            " neither."
        )
    return [part for line in lines for part in wrapped(line, to)]


def _run(folder: Path, to: Screen) -> Iterator[str]:
    if (manifest := read_json(folder / MANIFEST)) is None:
        damaged = (folder / MANIFEST).exists()
        yield f"run      {folder}: " + (
            f"{MANIFEST} is damaged" if damaged else "not finished; at work, or stopped"
        )
    else:
        yield f"run      {folder}: {manifest.get('state', 'finished')}"
    if (folder / METRICS).exists() and not read_curve(folder):
        yield f"damaged  {folder / METRICS} holds no report"
    yield from _described("score", read_scores(folder, None))
    yield from _curve(folder, to, f"curve    {folder}")


def _study(folder: Path, to: Screen) -> Iterator[str]:
    found, best = read_json(folder / STUDY), read_json(folder / BEST)
    at_work = is_locked(folder / LOCK)
    try:
        told = found or {}
        job = jobs.vertex_job(told) if "studySpec" in told else jobs.ai_platform_job(told)
        reasons = _reasons(told)
    except _DAMAGED:
        what = "is damaged" if (folder / STUDY).exists() else "is not there yet"
        yield f"study    {folder}: {'in progress' if at_work else 'not at work'}; {STUDY} {what}"
        yield from _strays(folder, set())
        return
    aim = str(told.get("objective"))
    aim = aim if aim in OBJECTIVES else IQM
    rows = [_row(folder, trial, reasons.get(trial.id, ""), aim, job.goal) for trial in job.trials]
    sign = 1 if objective.direction(aim, job.goal) == MINIMIZE else -1
    rows.sort(key=lambda row: (row.value is None, sign * (row.value or 0.0)))
    over = sum("SUCCEEDED" in row.state or bool(row.reason) for row in rows)
    state = "finished" if best else "not finished; the same command goes on"
    yield (
        f"study    {folder}: {'in progress' if at_work else state};"
        f" {over} of {several(len(rows), 'trial')} ended"
    )
    yield from _table(folder, rows, aim)
    yield from _problems(folder, rows)
    yield from _strays(folder, {row.number for row in rows})
    winner = rows[0].number if rows and rows[0].value is not None else None
    if (folder / BEST).exists():
        yield from _end(best, BEST if at_work is False else f"{BEST}, of an earlier end,")
        winner = str((best or {}).get("trial", winner))
    else:
        yield from _fresh(folder)
    if winner is not None and winner in {row.number for row in rows}:
        yield from _curve(folder / winner, to, f"curve    trial {winner}")


def _row(folder: Path, trial: jobs.Trial, reason: str, aim: str, goal: str) -> Row:
    scores = read_scores(folder / trial.id, trial.score)
    good = trial.state == "SUCCEEDED"
    value = objective.value(scores, aim, goal) if good else None
    return Row(trial.id, trial.state, scores if good else Scores(), value, reason, trial.parameters)


def _reasons(found: Mapping[str, Any]) -> dict[str, str]:
    trials = found.get("trials") or found.get("trainingOutput", {}).get("trials", [])
    return {str(t.get("id", t.get("trialId"))): str(t.get("infeasibleReason", "")) for t in trials}


def _table(folder: Path, rows: list[Row], aim: str) -> Iterator[str]:
    """Best first; those without a score last, with their reason and their log."""
    cells = [("trial", "state", aim, "flags")]
    for row in rows:
        score = row.reason
        if row.value is not None:
            score = f"{row.value:.5g}"
            if row.scores.scores:
                low, high = interval(row.scores.scores)
                score += f" [{low:.5g}, {high:.5g}]"
        flags = shown_flags([f"--{name}={value}" for name, value in row.parameters.items()])
        if row.state in ("FAILED", "INFEASIBLE"):
            flags += f"; log: {folder / row.number / LOG}"
        cells.append((row.number, row.state, score, flags))
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    for line in cells:
        padded = [f"{text:<{width}}" for text, width in zip(line, widths, strict=False)]
        yield "  ".join([*padded, line[3]]).rstrip()


def _problems(folder: Path, rows: list[Row]) -> Iterator[str]:
    """Trials that ended well whose folders are not whole."""
    for row in rows:
        place = folder / row.number
        if row.state != "SUCCEEDED":
            continue
        if not place.is_dir():
            yield f"damaged  trial {row.number}: its folder {place} is missing"
        elif not row.scores.scores:
            yield f"damaged  trial {row.number}: {place / MANIFEST} is missing or damaged"
        elif (place / METRICS).exists() and not read_curve(place):
            yield f"damaged  trial {row.number}: {place / METRICS} holds no report"


def _strays(folder: Path, known: set[str]) -> Iterator[str]:
    names = [p.name for p in folder.iterdir() if p.name.isdecimal() and p.name not in known]
    for name in sorted(names, key=int):
        yield f"damaged  {folder / name}: {STUDY} knows no such trial"


def _end(best: Mapping[str, Any] | None, name: str) -> Iterator[str]:
    """What a study that has ended found out on fresh seeds."""
    try:
        assert best is not None
        lines = [
            _line("confirm", f"trial {number}", found)
            for number, found in best.get("confirm", {}).items()
        ]
        lines += [_line("test", who, found) for who, found in best["test"].items()]
        if best["optimism_gap"] is not None:
            lines.append(
                f"optimism {best['optimism_gap']:.4g}: the search claimed"
                f" {best['tuning']['claimed']:.5g} for its best ({best['objective']})"
            )
    except (*_DAMAGED, AssertionError):
        yield f"damaged  {name} is not whole; the study's command, given again, writes it"
        return
    yield from lines


def _fresh(folder: Path) -> Iterator[str]:
    """The runs on fresh seeds of a study that has not ended."""
    for place in sorted([*folder.glob("confirm-*/*"), *folder.glob("test-*/*")]):
        if not place.is_dir():
            continue
        scores = read_scores(place, None)
        name = f"{place.parent.name}/{place.name}"
        word = place.parent.name.split("-")[0]
        yield (
            _line(word, name, summary(scores))
            if scores.scores
            else f"{word:<9}{name}: not finished"
        )


def _line(word: str, who: str, found: Mapping[str, Any]) -> str:
    if not found:
        return f"{word:<9}{who}: no score"
    low, high = found["interval"]
    text = f"{who}: {found['interquartile_mean']:.5g} [{low:.5g}, {high:.5g}]"
    return f"{word:<9}{text}, {several(found['agents'], 'seed')}"


def _described(word: str, scores: Scores) -> Iterator[str]:
    if scores.scores:
        yield _line(word, "final policies", summary(scores))


def _curve(folder: Path, to: Screen, title: str) -> Iterator[str]:
    points = read_curve(folder)
    if not points:
        yield f"{title}: no reports"
        return
    agents = len(points[-1].scores)
    yield f"{title}: mean of {several(agents, 'agent')}, from the worst to the best"
    yield from plot.text(points, to.width, blocks=to.blocks)
