"""Carries a plan out: opens the study, runs its three stages, reports what was found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from trainer.contract.text import several
from trainer.storage import atomic
from trainer.storage.run_files import read_scores
from tuner.cloud.study_sync import RemoteStudy
from tuner.execution.scheduler import Interrupted, Interrupts, Scheduler
from tuner.execution.trial import METRIC, Trial
from tuner.execution.trial_command import Task
from tuner.outputs import results, tensorboard
from tuner.outputs.live_display import Display
from tuner.search.space import Value
from tuner.spec.study_spec import MEDIAN
from tuner.study import open, stages
from tuner.study.executors import executor
from tuner.study.plan import Plan
from tuner.study.study_run import StudyRun

_CTRL_C = "Ctrl-C: no new trials; the running ones end first. Press again to stop at once."


def study(
    plan: Plan,
    first: Mapping[str, Value],
    environ: Mapping[str, str],
    display: Display,
) -> int:
    """Searches, confirms and tests; 0, or 128 + n if signal n ended it.

    Args:
        first: the values of the first trial.
        environ: the tuner's environment variables.

    Raises:
        OSError, Error: it has no result.
    """
    with open.locked(plan.job_dir), open.remote(plan, display.line) as remote:
        try:
            result = _result(plan, first, environ, display, remote)
        except Interrupted as interrupted:
            display.line("The study was stopped; the same command continues it.")
            return 128 + interrupted.number
        finally:
            display.clear()
        for line in results.described(result):
            display.line(line)
        atomic.write_json(plan.job_dir / results.BEST, results.best_json(result))
        display.line(f"{plan.where}/{results.BEST} has the flags to paste.")
        return 0


def _result(
    plan: Plan,
    first: Mapping[str, Value],
    environ: Mapping[str, str],
    display: Display,
    remote: RemoteStudy | None,
) -> results.StudyResult:
    def prepare(task: Task) -> None:
        if remote is not None:
            remote.prepare(task, task.job_dir / METRIC, plan.spec.metric)

    def look(running: Sequence[Trial]) -> None:
        if remote is not None:
            remote.check()
        if display.due:
            display.table(run.table(running))

    interrupts = Interrupts()
    with (
        contextlib.closing(executor(plan, environ, prepare, display.line)) as trials,
        interrupts.handled(lambda: display.line(_CTRL_C)),
        open.opened(plan, first) as study,
    ):
        scheduler = Scheduler(trials, plan.parallel, interrupts, prepare, look)
        find_scores = read_scores if remote is None else remote.read_scores
        run = StudyRun(plan, study, scheduler, display, find_scores)
        tensorboard.keep(plan.job_dir, plan.spec, display.line)
        for line in _announcement(run):
            display.line(line)
        result = stages.run(run)
        study.keep_result("\n".join(results.described(result)))
        return result


def _announcement(run: StudyRun) -> Iterator[str]:
    plan, spec, known = run.plan, run.plan.spec, run.study.known
    yield (
        f"tune: {several(plan.max_trials, 'trial')} of {several(plan.seeds, 'seed')},"
        f" {plan.parallel} at a time, the best {plan.objective} of {spec.metric};"
        f" everything goes to {plan.where}"
    )
    if plan.bucket:
        yield f"      Local copy: {plan.job_dir}; logs of trials stay there."
    if plan.address:
        yield f"      Trials run on the Ray cluster at {plan.address}."
    if plan.image:
        yield f"      Each trial runs in a container of {plan.image}."
    if known:
        trials = several(known, "trial")
        yield f"      The search knows {trials} of {plan.resume_from}, beside its own."
    if plan.parallel < spec.max_parallel_trials:
        yield (
            f"      The file allows {spec.max_parallel_trials} at a time, but a trainer keeps more"
            " than one core busy; --parallel sets it."
        )
    if spec.early_stopping not in ("", MEDIAN):
        yield f"      {spec.early_stopping} stopping runs on Vertex AI only: the median rule here."
    if over := sum(record.over for record in run.study.records):
        yield f"      {several(over, 'trial')} {'has' if over == 1 else 'have'} ended before."
