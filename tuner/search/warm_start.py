"""Reads the trials of an earlier study, for a new one to continue from: `resumePreviousJobId`."""

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
from tuner.search.trial_store import FILE, NAME, Known, StudyError, study_errors
from tuner.spec.study_spec import GRID, StudySpec

# These may differ: they do not change what a score means.
_FREE = ("algorithm", "resumed")


def location(spec: StudySpec, given: str, job_dir: str) -> str:
    """The folder or bucket path of the earlier study; "" if there is none.

    Args:
        given: the user's --resume-from; without it, the file may name a job beside `job_dir`.

    Raises:
        BadCommand: the study's algorithm cannot use earlier trials.
    """
    found = given.rstrip("/")
    if not found and spec.resume:
        found = "/".join([*job_dir.rstrip("/").split("/")[:-1], spec.resume])
    if found and spec.algorithm == GRID:
        raise BadCommand(
            f"{GRID} tries each point and cannot use the trials of an earlier study. Delete the"
            " algorithm, or choose another."
        )
    return found


def known(where: str, identity: Mapping[str, Any]) -> Known:
    """The finished trials of an earlier study, and the seeds that it used.

    Raises:
        StudyError: there is no study, or its scores are not comparable.
        StorageError: it is in a bucket that cannot be read.
    """
    with study_errors(Path(where) / FILE):
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
            f"The scores of {where} are not comparable: {', '.join(differences(theirs, ours))}."
            " Use the same settings, or start without --resume-from and resumePreviousJobId."
        )
    name = Path(where).name
    return Known(
        [trial for trial in trials if trial.state.is_finished()],
        # Also the seeds of its tests: the new study was started knowing their scores.
        {
            f"{name}, {purpose}": seed
            for purpose, seed in attributes.get("seeds", {}).items()
            if seed != ours["seed"]
        },
    )


def _read(where: str) -> bytes:
    location = locate(where)
    if isinstance(location, Address):
        with contextlib.closing(RemoteFolder(location, reading=60.0)) as remote:
            found = remote.read_latest(FILE)
        if found is None:
            raise _no_study(where)
        return found
    file = location / FILE
    if not file.exists():
        raise _no_study(where)
    try:
        return files.read(file, files.LARGE)
    except OSError as error:
        raise StudyError(
            f"The earlier study could not be read: {error.strerror} ({file}). Choose another with"
            " --resume-from."
        ) from error


def _no_study(where: str) -> StudyError:
    return StudyError(
        f"The earlier study has no {FILE} in {where}. Give its folder with --resume-from."
    )
