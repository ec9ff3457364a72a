"""Reads a job dir into a Report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import PurePosixPath

from trainer.contract.errors import Error
from trainer.contract.job_files import METRICS, POLICY, RECORDING
from tuner.cloud.job_json import STUDY as STUDY_JSON
from tuner.outputs.results import BEST
from tuner.report import assemble, runs
from tuner.report.files import Files
from tuner.report.model import JOB, RUN, STUDY, Report, Run, Trial
from tuner.report.runs import SIGNS, SMALL, path
from tuner.search.trial_store import FILE

CURVES = 6  # trials whose learning curves are drawn
LARGEST_VIDEO, LARGEST_JOURNAL = 20_000_000, 64_000_000  # bytes


class NothingThere(Error):
    """A job dir with nothing to report."""


def gather(files: Files) -> Report:
    """All that the page shows.

    Raises:
        NothingThere: the job dir holds nothing that a trainer or a tuner leaves.
        StorageError: a bucket cannot be read.
    """
    kind = kind_of(files)
    name = PurePosixPath(files.where).name or "job"
    if kind == RUN:
        found = _runs(files, [""])[""]
        report = assemble.of_run(found, name, files.where)
    else:
        report = _search(files, kind, name)
    return _with_large_parts(files, report)


def kind_of(files: Files) -> str:
    """Whether it is a run, a study or a service's trials. Raises NothingThere."""
    if {FILE, STUDY_JSON, BEST} & files.names:
        return STUDY
    if set(SIGNS) & files.names:
        return RUN
    if any(_holds_a_run(files, folder) for folder in _folders(files)):
        return JOB
    raise NothingThere(
        f"{files.where} holds no file of a run, a study or trials. Give the job dir that the"
        " trainer or the tuner wrote to."
    )


def _search(files: Files, kind: str, name: str) -> Report:
    small = files.read_all([STUDY_JSON, BEST])
    journal = files.read(FILE, LARGEST_JOURNAL)
    if journal is not None:
        small[FILE] = journal
    trials = [f for f in _folders(files) if f.isdigit() or _holds_a_run(files, f)]
    found = _runs(files, [f for f in trials if kind == JOB or f.isdigit()])
    if kind == JOB:
        return assemble.of_job(found, name, files.where)
    steps = _runs(files, _step_folders(files))
    return assemble.of_study(small, found, steps, name, files.where)


def _runs(files: Files, folders: Sequence[str]) -> dict[str, Run]:
    contents = files.read_all(path(folder, name) for folder in folders for name in SMALL)
    return {folder: runs.read_run(folder, contents) for folder in folders}


def _folders(files: Files) -> list[str]:
    names = [name[:-1] for name in files.names if name.endswith("/")]
    return sorted(names, key=lambda name: (not name.isdigit(), len(name), name))


def _step_folders(files: Files) -> list[str]:
    """Folders of the confirm and test stages: confirm-1/3, test-2/winner."""
    return sorted(
        {
            name.rpartition("/")[0]
            for name in files.names
            if name.count("/") == 2 and name.startswith(("confirm-", "test-"))
        }
    )


def _holds_a_run(files: Files, folder: str) -> bool:
    return any(path(folder, name) in files.names for name in SIGNS)


def _with_large_parts(files: Files, report: Report) -> Report:
    """Adds the large parts: curves of a few trials, three videos, the winner's policy."""
    shown = [t for t in report.trials if path(t.run.folder, METRICS) in files.names][:CURVES]
    contents = files.read_all(path(trial.run.folder, METRICS) for trial in shown)
    curves = {
        trial.name: runs.points(contents.get(path(trial.run.folder, METRICS), b""))
        for trial in shown
    }
    trials = [dataclasses.replace(t, points=curves.get(t.name, ())) for t in report.trials]
    winner = report.winner
    policy = files.read(path(winner.run.folder, POLICY)) if winner else None
    return dataclasses.replace(
        report,
        trials=trials,
        videos=_videos(files, report),
        policy=_json_text(policy),
    )


def _videos(files: Files, report: Report) -> dict[str, tuple[Trial, bytes]]:
    """The videos of the best, the median and the worst trial with one."""
    filmed = [t for t in report.scored if path(t.run.folder, RECORDING) in files.names]
    winner = report.winner
    best = [winner] if winner in filmed else filmed[:1]
    picked = {"best": best, "median": filmed[len(filmed) // 2 :][:1], "worst": filmed[-1:]}
    found: dict[str, tuple[Trial, bytes]] = {}
    for which, trials in picked.items():
        for trial in trials:
            if trial and trial.name not in [other.name for other, _ in found.values()]:
                video = files.read(path(trial.run.folder, RECORDING), LARGEST_VIDEO)
                if video:
                    found[which] = trial, video
    return found


def _json_text(content: bytes | None) -> str | None:
    """The text, if it is JSON."""
    try:
        text = (content or b"").decode("utf-8")
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    return text
