"""Where a study's files are kept and its trials run: here, in a bucket, in containers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from trainer.storage.address import parse
from trainer.storage.gcs import RemoteFolder
from tuner.cloud import job_json
from tuner.cloud.study_sync import RemoteStudy
from tuner.execution.containers import DEFAULT_ENGINE, Containers
from tuner.outputs import results
from tuner.search.trial_store import FILE
from tuner.spec.diagnostics import several
from tuner.study.plan import Plan


@contextlib.contextmanager
def remote(plan: Plan, say: Callable[[str], None]) -> Iterator[RemoteStudy | None]:
    """The study's place in a bucket, claimed and kept in step; None where it has none.

    Raises:
        Error: it cannot be used.
    """
    if not plan.bucket:
        yield None
        return
    with contextlib.closing(RemoteFolder(parse(plan.bucket), reading=60.0, below=False)) as folder:
        study = RemoteStudy(folder, plan.job_dir, (FILE, job_json.STUDY, results.BEST), say)
        with study.kept():
            yield study


def containers(plan: Plan, environ: Mapping[str, str]) -> Containers | None:
    """What trials run in; None where they are plain processes.

    Raises:
        ContainerError: no trial could be started.
    """
    if not plan.image:
        return None
    engine = environ.get("CONTAINER_ENGINE") or DEFAULT_ENGINE
    found = Containers(engine, plan.image, plan.spec.job.command, bool(plan.bucket))
    found.check(plan.job_dir)
    return found


def told(plan: Plan, known: int) -> Iterator[str]:
    """What the user should know of them before trial 1."""
    if plan.bucket:
        yield f"The study works in {plan.job_dir}; logs of trials stay there."
    if plan.image:
        yield f"Each trial runs in a container of {plan.image}."
    if known:
        yield f"The search knows {several(known, 'trial')} of {plan.resume_from}, beside its own."
