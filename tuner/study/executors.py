"""Makes the executor that a plan asks for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping

from tuner.execution.containers import DEFAULT_ENGINE, Containers
from tuner.execution.local_trial import TrialSettings
from tuner.execution.processes import ProcessExecutor
from tuner.execution.scheduler import Executor
from tuner.execution.worker_pool import PROGRAM, StackExecutor, end_orphans, processes
from tuner.spec.study_spec import STACKED
from tuner.study.plan import Plan


def executor(plan: Plan, environ: Mapping[str, str], say: Callable[[str], None]) -> Executor:
    """Where the plan's trials run. Close it.

    Raises:
        Error: no trial could be started there.
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
    if plan.engine == STACKED:
        count, cores = processes(os.cpu_count() or 1, plan.parallel)
        program = (*PROGRAM, f"--cores={cores}")
        stack = StackExecutor(settings, count, plan.job_dir, program, say)
        stack.start()
        return stack
    return ProcessExecutor(settings)


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
