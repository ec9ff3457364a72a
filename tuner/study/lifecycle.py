"""Carries a plan out: opens the study, starts its trials, and tells the user what was found."""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from trainer.contract.errors import Error
from trainer.storage import atomic
from trainer.storage.file_lock import try_lock
from tuner.cloud.study_sync import RemoteStudy
from tuner.execution.scheduler import Engine, Interrupted, Interrupts
from tuner.execution.trial import METRIC, Setting, Trial
from tuner.execution.trial_command import Task
from tuner.execution.worker_pool import Workers, crew
from tuner.outputs import results, tensorboard
from tuner.outputs.live_display import Display
from tuner.search import objective, warm_start
from tuner.search.space import Value
from tuner.search.trial_store import FILE, Known, Study, spoken
from tuner.spec.diagnostics import several
from tuner.spec.study_spec import MEDIAN, STACKED
from tuner.study import places
from tuner.study.plan import Plan, identity
from tuner.study.stages import Protocol


class Occupied(Error):
    """Another tuner works in the folder."""


def study(
    plan: Plan,
    first: Mapping[str, Value],
    environ: Mapping[str, str],
    display: Display,
) -> int:
    """Searches, confirms and tests; 0, or 128 + n where signal n ended it.

    Args:
        first: what is tried before anything else.
        environ: the tuner's environment variables.

    Raises:
        OSError, Error: it came to no result.
    """
    with _claimed(plan.job_dir), places.remote(plan, display.line) as remote:
        return _study(plan, first, environ, display, remote)


def _study(
    plan: Plan,
    first: Mapping[str, Value],
    environ: Mapping[str, str],
    display: Display,
    remote: RemoteStudy | None,
) -> int:
    spec, interrupts = plan.spec, Interrupts()
    setting = Setting(
        *(plan.trainer, environ, spec.metric, plan.name, _seconds(spec.job.timeout)),
        containers=places.containers(plan, environ),
    )
    read_scores = objective.read_scores if remote is None else remote.read_scores

    def launch(task: Task) -> Trial:
        if remote is not None:
            remote.prepare(task, task.job_dir / METRIC, spec.metric)
        return workers.launch(task) if plan.engine == STACKED else Trial(task, setting)

    def look(running: list[Trial]) -> None:
        if remote is not None:
            remote.check()
        if display.due:
            display.table(protocol.table(running))

    processes, batch = crew(os.cpu_count() or 1, plan.parallel)
    workers = Workers(processes, setting, plan.job_dir, batch, display.line)

    @functools.cache
    def learn() -> Known:
        return warm_start.known(plan.resume_from, identity(plan))

    engine = Engine(launch, plan.parallel, interrupts, look)
    try:
        if plan.engine == STACKED:
            workers.start()
        if plan.resume_from and not (plan.job_dir / FILE).exists():
            learn()  # before there is a study that could not go on
        note = "Ctrl-C: no new trials; the running ones end first. Again: at once."
        with (
            interrupts.heard(lambda: display.line(note)),
            spoken(plan.job_dir / FILE),
        ):
            study = Study(
                plan.job_dir,
                spec.parameters,
                spec.algorithm,
                objective.direction(plan.objective, spec.goal),
                identity(plan),
                first,
                learn if plan.resume_from else None,
            )
            protocol = Protocol(plan, study, engine, display, read_scores)
            tensorboard.keep(plan.job_dir, spec, display.line)
            over = sum(record.over for record in study.records)
            for line in _announcement(plan, over, study.known):
                display.line(line)
            findings = protocol.run()
    except Interrupted as interrupted:
        display.line("The study was stopped; the same command goes on.")
        return 128 + interrupted.number
    finally:
        display.clear()
        workers.close()
    for line in results.told(findings):
        display.line(line)
    atomic.write_json(plan.job_dir / results.BEST, results.best_json(findings))
    display.line(f"{plan.where}/{results.BEST} has the flags to paste.")
    return 0


def _announcement(plan: Plan, over: int, known: int) -> Iterator[str]:
    spec = plan.spec
    yield (
        f"tune: {several(plan.max_trials, 'trial')} of {several(plan.seeds, 'seed')},"
        f" {plan.parallel} at a time, the best {plan.objective} of {spec.metric};"
        f" everything goes to {plan.where}"
    )
    for line in places.told(plan, known):
        yield f"      {line}"
    if plan.parallel < spec.max_parallel_trials:
        yield (
            f"      The file allows {spec.max_parallel_trials} at a time, but a trainer keeps more"
            " than one core busy; --parallel sets it."
        )
    if spec.early_stopping not in ("", MEDIAN):
        yield f"      {spec.early_stopping} stopping runs on Vertex AI only: the median rule here."
    if over:
        yield f"      {several(over, 'trial')} {'has' if over == 1 else 'have'} ended before."


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Keeps a second tuner out of the folder. Raises Occupied."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "study.lock").open("a") as file:
        if not try_lock(file.fileno()):
            raise Occupied(f"Another tuner works in {folder}. Wait for it, or take another folder.")
        yield


def _seconds(timeout: str) -> float:
    return float(timeout.removesuffix("s")) if timeout else math.inf
