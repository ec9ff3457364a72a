"""A trial in a process of its own: started as a service would, watched, stopped, judged."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner import command, measurements, orphans
from tuner.command import Task
from tuner.containers import Containers
from tuner.measurements import Measurement

SUCCEEDED, INFEASIBLE, FAILED, STOPPED = "SUCCEEDED", "INFEASIBLE", "FAILED", "STOPPED"
BAD_COMMAND = 2  # the trainer's exit code for a command that no restart can cure
LOG, METRIC, LOCK = "trial.log", "trial.metric", "trial.lock"
_TAIL_LINES, _TAIL_BYTES = 5, 4096


@dataclass(frozen=True)
class Outcome:
    """How a trial ended."""

    state: str
    reason: str  # a sentence, where it did not succeed
    exit_code: int
    measurements: tuple[Measurement, ...]
    seconds: float
    cpu_seconds: float
    last_lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What all trials of a study share."""

    program: Sequence[str]
    environment: Mapping[str, str]
    metric: str
    job: str  # the study's name
    time_limit: float  # seconds a trial may take
    containers: Containers | None = None  # where trials run in these, not as plain processes


class Trial:
    """A running trial."""

    def __init__(self, task: Task, setting: Setting) -> None:
        """Starts it.

        Raises:
            OSError: it cannot be started.
            StillRunning, ContainerError: an earlier process or container does not end.
        """
        self.task = task
        self.measurements: list[Measurement] = []
        self._metric = setting.metric
        self._time_limit = setting.time_limit
        self._stopping = ""  # why it is being stopped
        self._kill_at = float("inf")
        task.job_dir.mkdir(parents=True, exist_ok=True)
        self._metric_file = task.job_dir / METRIC
        self._containers = setting.containers
        self._start(setting)
        self.started = time.monotonic()

    def _start(self, setting: Setting) -> None:
        if self._containers is not None:
            self._containers.remove(self.task.job_dir)
        lock = orphans.lock(self.task.job_dir / LOCK)
        try:
            with (self.task.job_dir / LOG).open("ab") as log:
                self._log_start = log.tell()
                words, environment = self._command(setting)
                self._process = subprocess.Popen(
                    words,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # the terminal's Ctrl-C is the tuner's to hear
                    pass_fds=[lock],
                )
            orphans.name_holder(lock, self._process.pid)
        finally:
            os.close(lock)

    def poll(self) -> Outcome | None:
        """Reads its reports; how it ended, once it has."""
        before = _children_cpu()
        code = self._process.poll()
        cpu = _children_cpu() - before
        self._read_metric()
        now = time.monotonic()
        if code is not None:
            if self._containers is not None:
                cpu = 0.0  # the client's; the trainer is the engine's child
                if self._stopping or code < 0:  # its client may have gone before it
                    self._containers.remove(self.task.job_dir)
            return self._outcome(code, now - self.started, cpu)
        if now - self.started > self._time_limit and not self._stopping:
            self.stop(f"it ran for more than {self._time_limit:g} s")
        if now > self._kill_at:
            if self._containers is not None:
                self._containers.kill(self.task.job_dir)
            orphans.signal_group(self._process.pid, signal.SIGKILL)
        return None

    def stop(self, reason: str) -> None:
        """Has it end: with a signal now, by force after a while."""
        if not self._stopping:
            self._stopping = reason
            self._kill_at = time.monotonic() + orphans.GRACE
            orphans.signal_group(self._process.pid, signal.SIGTERM)

    def end(self) -> Outcome:
        """Waits for a stopped trial's end."""
        while (outcome := self.poll()) is None:
            time.sleep(0.05)
        return outcome

    @property
    def log(self) -> Path:
        return self.task.job_dir / LOG

    def _command(self, setting: Setting) -> tuple[list[str], Mapping[str, str]]:
        """What is to be started, and its environment."""
        service = command.environment(
            setting.environment,
            trial=self.task.trial,
            metric_file=self._metric_file,
            metric=setting.metric,
            job=setting.job,
        )
        if setting.containers is None:
            return [*setting.program, *self.task.words], service
        words = setting.containers.command(self.task.job_dir, self.task.words, service)
        return words, setting.environment  # the engine's client wants the user's own

    def _read_metric(self) -> None:
        try:
            found = measurements.read(self._metric_file.read_bytes(), self._metric)
        except OSError:
            return
        self.measurements = measurements.merged(self.measurements, found)

    def _outcome(self, code: int, seconds: float, cpu_seconds: float) -> Outcome:
        state, reason = judge(code, bool(self.measurements), self._stopping)
        return Outcome(
            state,
            reason,
            code,
            tuple(self.measurements),
            round(seconds, 3),
            round(cpu_seconds, 3),
            self._last_lines() if state in (FAILED, INFEASIBLE) else (),
        )

    def _last_lines(self) -> tuple[str, ...]:
        """The last lines of this process' own log that say anything."""
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - _TAIL_BYTES))
            lines = log.read().decode("utf-8", errors="replace").splitlines()
        shown = ["".join(c if c.isprintable() else " " for c in line).rstrip() for line in lines]
        return tuple([line for line in shown if line][-_TAIL_LINES:])


LOST = "the median rule stopped it"


def judge(code: int, has_measurement: bool, stopped: str) -> tuple[str, str]:
    """State and reason of a trial that has ended; `stopped` says why somebody had it end."""
    if code == 0:  # also where it was done before the signal came
        if has_measurement:
            return SUCCEEDED, ""
        return INFEASIBLE, "it reported no finite value of the metric"
    if stopped == LOST:
        return STOPPED, LOST
    if stopped:
        return FAILED, stopped
    if code < 0:
        return FAILED, f"signal {-code} ended it"
    return FAILED, f"exit code {code}"


def _children_cpu() -> float:
    """Seconds of all children that have ended: what it grows by at a `poll` is that child's."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
