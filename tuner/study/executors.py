"""Makes the executor that a plan asks for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping

from trainer.contract import provenance
from tuner.execution.containers import DEFAULT_ENGINE, Containers
from tuner.execution.local_trial import TrialSettings
from tuner.execution.processes import ProcessExecutor
from tuner.execution.scheduler import Executor
from tuner.execution.trial_command import Task
from tuner.execution.worker_pool import PROGRAM, StackExecutor, end_orphans, processes
from tuner.spec.study_spec import RAY
from tuner.study.plan import Plan


def executor(
    plan: Plan,
    environ: Mapping[str, str],
    prepare: Callable[[Task], None],
    notify: Callable[[str], None],
) -> Executor:
    """The executor for the plan's trials. The caller closes it.

    Args:
        prepare: called before a trial moves to another machine.

    Raises:
        Error: it could not run any trial.
        OSError: a trainer process cannot be started.
    """
    settings = TrialSettings(
        plan.trainer,
        environ,
        plan.spec.metric,
        plan.name,
        _seconds(plan.spec.job.timeout),
        _containers(plan, environ),
    )
    end_orphans(plan.job_dir)
    if plan.engine == RAY:
        return _on_ray(plan, settings, prepare, notify)
    if plan.stacked:
        count, cores = processes(os.cpu_count() or 1, plan.parallel)
        program = (*PROGRAM, f"--cores={cores}")
        stack = StackExecutor(settings, count, plan.job_dir, program, notify)
        stack.start()
        return stack
    return ProcessExecutor(settings)


def _on_ray(
    plan: Plan,
    settings: TrialSettings,
    prepare: Callable[[Task], None],
    notify: Callable[[str], None],
) -> Executor:
    """Trials on a Ray cluster. Raises RayError."""
    from tuner.execution.ray_executor import RayExecutor  # slow to import
    from tuner.execution.ray_node import NodeSettings

    node = NodeSettings(
        program=plan.trainer[1:],  # after the Python, which is each node's own
        batch=PROGRAM[1:] if plan.stacked else (),
        metric=settings.metric,
        job=settings.job,
        time_limit=settings.time_limit,
        folder=plan.job_dir,
        bucket=plan.bucket,
        cpus=plan.trial_cpus,
        versions=provenance.versions(),
    )
    return RayExecutor(
        plan.address, node, plan.job_dir, gpus=plan.trial_gpus, prepare=prepare, notify=notify
    )


def _containers(plan: Plan, environ: Mapping[str, str]) -> Containers | None:
    """What trials run in; None if they are plain processes. Raises ContainerError."""
    if not plan.image:
        return None
    engine = environ.get("CONTAINER_ENGINE") or DEFAULT_ENGINE
    found = Containers(engine, plan.image, plan.spec.job.command, bool(plan.bucket))
    found.check(plan.job_dir)
    return found


def _seconds(timeout: str) -> float:
    return float(timeout.removesuffix("s")) if timeout else math.inf
