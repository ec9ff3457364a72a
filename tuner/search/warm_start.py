"""What an earlier study has found out, for another to go on from: `resumePreviousJobId`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna

from trainer.contract.errors import BadCommand
from trainer.storage import files
from trainer.storage.address import Address, locate
from trainer.storage.gcs import RemoteFolder
from tuner.search import journal
from tuner.search.differences import differences
from tuner.search.trial_store import FILE, NAME, Known, StudyError, spoken
from tuner.spec.study_spec import GRID, StudySpec

# How a study searched is no part of what its scores mean.
_FREE = ("algorithm", "resumed")


def place(spec: StudySpec, given: str, job_dir: str) -> str:
    """Where the study lies whose trials are known; "" where there is none.

    Args:
        given: where the user says it lies. Else the file may name a job, which lies beside ours.

    Raises:
        BadCommand: a study cannot go on from it.
    """
    found = given.rstrip("/")
    if not found and spec.resume:
        found = "/".join([*job_dir.rstrip("/").split("/")[:-1], spec.resume])
    if found and spec.algorithm == GRID:
        raise BadCommand(
            f"a study that goes on from another must learn from its trials, but {GRID} tries each"
            " point whatever is known. Delete the algorithm, or take another."
        )
    return found


def known(where: str, identity: Mapping[str, Any]) -> Known:
    """The finished trials of the study there, and the seeds that it has used.

    Raises:
        StudyError: there is no study, or one whose scores mean something else.
        StorageError: it lies in a bucket that cannot be read.
    """
    with spoken(Path(where) / FILE):
        storage = journal.read(_read(where))
        try:
            study = optuna.load_study(study_name=NAME, storage=storage)
        except KeyError:
            raise _no_study(where) from None
        attributes, trials = study.user_attrs, study.get_trials(deepcopy=False)
    theirs, ours = (
        {name: text for name, text in found.items() if name not in _FREE}
        for found in (attributes.get("identity", {}), identity)
    )
    if theirs != ours:
        raise StudyError(
            f"A study may go on from one like itself, but {where} has"
            f" {', '.join(differences(theirs, ours))}. Make them agree, or begin without it."
        )
    name = Path(where).name
    return Known(
        [trial for trial in trials if trial.state.is_finished()],
        # Its tests, too, have been looked at by whoever goes on from it.
        {
            f"{name}, {purpose}": seed
            for purpose, seed in attributes.get("seeds", {}).items()
            if seed != ours["seed"]
        },
    )


def _read(where: str) -> bytes:
    place = locate(where)
    if isinstance(place, Address):
        with contextlib.closing(RemoteFolder(place, reading=60.0)) as remote:
            found = remote.read_latest(FILE)
        if found is None:
            raise _no_study(where)
        return found
    file = place / FILE
    if not file.exists():
        raise _no_study(where)
    try:
        return files.read(file, files.LARGE)
    except OSError as error:
        raise StudyError(
            f"The study to go on from could not be read: {error.strerror} ({file}). Name another"
            " with --resume-from."
        ) from error


def _no_study(where: str) -> StudyError:
    return StudyError(
        f"{where} has no {FILE} of a study to go on from. Name its folder with --resume-from."
    )
