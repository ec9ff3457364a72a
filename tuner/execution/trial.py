"""A trial in a process of its own, or wherever else: started, watched, stopped, judged."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tuner.execution import metric_file, process_lock, trial_command
from tuner.execution.containers import Containers
from tuner.execution.metric_file import Measurement
from tuner.execution.trial_command import Task

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


class Runner(Protocol):
    """What a trial runs in: a process of its own, or a worker that it shares."""

    log_start: int  # where in the log its own lines begin

    def ended(self, *, stopping: bool) -> tuple[int, float] | None:
        """Exit code and seconds of the processor, once it has ended."""

    def ask(self) -> float:
        """Asks for its end; how many seconds it may take over that."""

    def kill(self) -> None:
        """Ends it by force."""


class Process:
    """A process of the trial's own, in a container where the setting says so."""

    def __init__(self, task: Task, setting: Setting) -> None:
        """Starts it.

        Raises:
            OSError: it cannot be started.
            StillRunning, ContainerError: an earlier process or container does not end.
        """
        self._job_dir, self._containers = task.job_dir, setting.containers
        environment = service(task, setting, setting.environment)
        words = [*setting.program, *task.words]
        if self._containers is not None:
            self._containers.remove(self._job_dir)
            words = self._containers.command(self._job_dir, task.words, environment)
            environment = dict(setting.environment)  # the engine's client wants the user's own
        lock = process_lock.lock(self._job_dir / LOCK)
        try:
            with (self._job_dir / LOG).open("ab") as log:
                self.log_start = log.tell()
                self.process = subprocess.Popen(
                    words,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # the terminal's Ctrl-C is the tuner's to hear
                    pass_fds=[lock],
                )
            process_lock.name_holder(lock, self.process.pid)
        finally:
            os.close(lock)

    def ended(self, *, stopping: bool) -> tuple[int, float] | None:
        before = _children_cpu()
        code = self.process.poll()
        if code is None:
            return None
        if self._containers is None:
            return code, _children_cpu() - before
        if stopping or code < 0:  # its client may have gone before it
            self._containers.remove(self._job_dir)
        return code, 0.0  # the client tells nothing: the trainer is the engine's child

    def ask(self) -> float:
        process_lock.signal_group(self.process.pid, signal.SIGTERM)
        return process_lock.GRACE

    def kill(self) -> None:
        if self._containers is not None:
            self._containers.kill(self._job_dir)
        process_lock.signal_group(self.process.pid, signal.SIGKILL)


class Trial:
    """A running trial."""

    def __init__(
        self, task: Task, setting: Setting, launch: Callable[[Task, Setting], Runner] = Process
    ) -> None:
        """Starts it. Raises what `launch` raises."""
        self.task = task
        self.measurements: list[Measurement] = []
        self._metric, self._metric_file = setting.metric, task.job_dir / METRIC
        self._time_limit = setting.time_limit
        self._stopping = ""  # why it is being stopped
        self._kill_at = float("inf")
        self._seen: tuple[int, ...] = ()  # of the metric file, when it was read last
        task.job_dir.mkdir(parents=True, exist_ok=True)
        self.runner = launch(task, setting)
        self.started = time.monotonic()

    def poll(self) -> Outcome | None:
        """Reads its reports; how it ended, once it has."""
        ended = self.runner.ended(stopping=bool(self._stopping))  # first: all reports are in then
        self._read_metric(last=ended is not None)
        now = time.monotonic()
        if ended is not None:
            return self._outcome(*ended, now - self.started)
        if now - self.started > self._time_limit and not self._stopping:
            self.stop(f"it ran for more than {self._time_limit:g} s")
        if now > self._kill_at:
            self.runner.kill()
        return None

    def stop(self, reason: str) -> None:
        """Has it end: asked now, by force after a while."""
        if not self._stopping:
            self._stopping = reason
            self._kill_at = time.monotonic() + self.runner.ask()

    def end(self) -> Outcome:
        """Waits for a stopped trial's end."""
        while (outcome := self.poll()) is None:
            time.sleep(0.05)
        return outcome

    @property
    def log(self) -> Path:
        return self.task.job_dir / LOG

    def _read_metric(self, *, last: bool) -> None:
        """Reads what has been added; the `last` time also where a coarse clock would hide it."""
        try:
            seen = os.stat(self._metric_file)
            now = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
            if now == self._seen and not last:
                return
            content = self._metric_file.read_bytes()
        except OSError:
            return
        self._seen = now
        found = metric_file.read(content, self._metric)
        self.measurements = metric_file.merged(self.measurements, found)

    def _outcome(self, code: int, cpu_seconds: float, seconds: float) -> Outcome:
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
            log.seek(max(self.runner.log_start, end - _TAIL_BYTES))
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


def service(task: Task, setting: Setting, environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which a service would start the trial."""
    metric_file = task.job_dir / METRIC
    return trial_command.environment(
        environment, trial=task.trial, metric_file=metric_file, metric=setting.metric,
        job=setting.job,
    )  # fmt: skip


def _children_cpu() -> float:
    """Seconds of all children that have ended: what it grows by at a `poll` is that child's."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
