"""A submitted trial: its reports so far, and its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tuner.execution import machine_faults
from tuner.execution.metric_file import Measurement
from tuner.execution.trial_command import Task

SUCCEEDED, INFEASIBLE, FAILED, STOPPED = "SUCCEEDED", "INFEASIBLE", "FAILED", "STOPPED"
LOG, METRIC, LOCK = "trial.log", "trial.metric", "trial.lock"
STOPPED_EARLY = "the median rule stopped it"  # the reason of a trial that is STOPPED


@dataclass(eq=False)
class Trial:
    """A trial that was submitted."""

    task: Task
    measurements: list[Measurement] = field(default_factory=list)
    started: float | None = None  # time.monotonic(); None while it waits for a machine
    stopping: str = ""  # why it was asked to stop

    @property
    def log(self) -> Path:
        return self.task.job_dir / LOG


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    state: str
    reason: str  # why, if it did not succeed
    exit_code: int
    measurements: tuple[Measurement, ...]
    seconds: float
    cpu_seconds: float
    last_lines: tuple[str, ...] = ()
    machine_fault: str = ""  # the machine fault that ended it, or ""


def outcome(
    trial: Trial,
    exit_code: int,
    *,
    seconds: float = 0.0,
    cpu_seconds: float = 0.0,
    last_lines: tuple[str, ...] = (),
) -> Outcome:
    """The outcome of a trial whose process ended with an exit code."""
    state, reason = judge(exit_code, bool(trial.measurements), trial.stopping)
    fault = ""
    if state == FAILED and not trial.stopping:
        fault = machine_faults.find(exit_code, last_lines)
    return Outcome(
        state,
        f"{reason}: {fault}" if fault else reason,
        exit_code,
        tuple(trial.measurements),
        round(seconds, 3),
        round(cpu_seconds, 3),
        last_lines if state in (FAILED, INFEASIBLE) else (),
        fault,
    )


def judge(code: int, has_measurement: bool, stopping: str) -> tuple[str, str]:
    """State and reason of a trial that has ended; `stopping` is why it was asked to stop."""
    if code == 0:  # even if stopped: it was done before the signal came
        if has_measurement:
            return SUCCEEDED, ""
        return INFEASIBLE, "it reported no finite value of the metric"
    if stopping == STOPPED_EARLY:
        return STOPPED, STOPPED_EARLY
    if stopping:
        return FAILED, stopping
    if code < 0:
        return FAILED, f"signal {-code} ended it"
    return FAILED, f"exit code {code}"
