"""Opens a study: its folder, locked; its copy in a bucket; its trials so far."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from trainer.contract.errors import Error
from trainer.storage.address import parse
from trainer.storage.file_lock import try_lock
from trainer.storage.gcs import RemoteFolder
from tuner.cloud import job_json
from tuner.cloud.study_sync import RemoteStudy
from tuner.outputs import results
from tuner.search import objective, warm_start
from tuner.search.space import Value
from tuner.search.trial_store import FILE, Known, Study, study_errors
from tuner.study.plan import Plan, identity


class Occupied(Error):
    """Another tuner works in the folder."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps a second tuner out of the study's folder. Raises Occupied."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "study.lock").open("a") as file:
        if not try_lock(file.fileno()):
            raise Occupied(
                f"Another tuner works in {folder}. Wait for it, or choose another folder."
            )
        yield


@contextlib.contextmanager
def remote(plan: Plan, notify: Callable[[str], None]) -> Iterator[RemoteStudy | None]:
    """The study's copy in a bucket, claimed and kept up to date; None if it has no bucket.

    Raises:
        Error: it cannot be used.
    """
    if not plan.bucket:
        yield None
        return
    with contextlib.closing(RemoteFolder(parse(plan.bucket), reading=60.0, below=False)) as folder:
        study = RemoteStudy(folder, plan.job_dir, (FILE, job_json.STUDY, results.BEST), notify)
        with study.kept():
            yield study


@contextlib.contextmanager
def opened(plan: Plan, first: Mapping[str, Value]) -> Iterator[Study]:
    """The study in the plan's folder, continued or new; its first trial has the values `first`.

    Raises:
        StudyError: it cannot be read or written, at the start or later.
    """

    def learn() -> Known:
        return warm_start.known(plan.resume_from, identity(plan))

    with study_errors(plan.job_dir / FILE):
        known = None
        if plan.resume_from and not (plan.job_dir / FILE).exists():
            known = learn()  # before the file exists: if this fails, no study was created
        yield Study(
            plan.job_dir,
            plan.spec.parameters,
            plan.spec.algorithm,
            objective.direction(plan.objective, plan.spec.goal),
            identity(plan),
            first,
            (lambda: known or learn()) if plan.resume_from else None,
        )
