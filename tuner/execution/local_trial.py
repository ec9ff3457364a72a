"""Starts, polls and stops trials on this machine, in processes of their own or shared ones."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tuner.execution import metric_file, trial_command
from tuner.execution.containers import Containers
from tuner.execution.trial import METRIC, Outcome, Trial, outcome
from tuner.execution.trial_command import Task

_TAIL_LINES, _TAIL_BYTES = 5, 4096


@dataclass(frozen=True)
class TrialSettings:
    """Settings that all trials of a study share."""

    program: Sequence[str]
    environment: Mapping[str, str]
    metric: str
    job: str  # the study's name
    time_limit: float  # seconds that a trial may take
    containers: Containers | None = None  # None: trials are plain processes
    attached: bool = False  # trials end when this process dies

    def service(self, task: Task, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment variables that a tuning service would set for the trial."""
        return trial_command.environment(
            environment,
            trial=task.trial,
            metric_file=task.job_dir / METRIC,
            metric=self.metric,
            job=self.job,
        ) | dict(task.variables)


class Runner(Protocol):
    """Runs a trial: in a process of its own, or in a shared trainer process."""

    log_start: int  # the offset of its first line in the log

    def ended(self, *, stopping: bool) -> tuple[int, float] | None:
        """Exit code and CPU seconds, once it has ended."""

    def ask(self) -> float:
        """Asks it to end; returns how many seconds to wait for that."""

    def kill(self) -> None:
        """Ends it by force."""


class LocalTrial(Trial):
    """A running trial."""

    def __init__(self, task: Task, settings: TrialSettings, runner: Runner) -> None:
        super().__init__(task, started=time.monotonic())
        self.runner = runner
        self._settings = settings
        self._metric_file = task.job_dir / METRIC
        self._kill_at = float("inf")
        self._seen: tuple[int, ...] = ()  # the metric file's identity when it was last read

    def poll(self) -> Outcome | None:
        """Reads new reports; returns the outcome once the trial has ended."""
        ended = self.runner.ended(stopping=bool(self.stopping))
        self._read_metric(last=ended is not None)
        now = time.monotonic()
        assert self.started is not None
        seconds = now - self.started
        if ended is not None:
            code, cpu_seconds = ended
            return outcome(
                self,
                code,
                seconds=seconds,
                cpu_seconds=cpu_seconds,
                last_lines=() if code == 0 and self.measurements else self._last_lines(),
            )
        if seconds > self._settings.time_limit:
            self.stop(f"it ran for more than {self._settings.time_limit:g} s")
        if now > self._kill_at:
            self.runner.kill()
        return None

    def stop(self, reason: str) -> None:
        """Asks the trial to end; it is killed if it takes too long."""
        if not self.stopping:
            self.stopping = reason
            self._kill_at = time.monotonic() + self.runner.ask()

    def _read_metric(self, *, last: bool) -> None:
        """Reads the metric file if it changed; the `last` time in any case."""
        try:
            seen = os.stat(self._metric_file)
            now = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
            if now == self._seen and not last:
                return
            content = self._metric_file.read_bytes()
        except OSError:
            return
        self._seen = now
        found = metric_file.read(content, self._settings.metric)
        self.measurements = metric_file.merged(self.measurements, found)

    def _last_lines(self) -> tuple[str, ...]:
        """The last lines in the trial's log since this start."""
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self.runner.log_start, end - _TAIL_BYTES))
            lines = log.read().decode("utf-8", errors="replace").splitlines()
        shown = ["".join(c if c.isprintable() else " " for c in line).rstrip() for line in lines]
        return tuple([line for line in shown if line][-_TAIL_LINES:])


class LocalExecutor:
    """Runs trials on this machine. Subclasses define `launch`."""

    def __init__(self, settings: TrialSettings) -> None:
        self._settings = settings
        self.running: list[LocalTrial] = []

    def submit(self, task: Task) -> LocalTrial:
        """Starts a trial. Raises OSError, or what `launch` raises."""
        task.job_dir.mkdir(parents=True, exist_ok=True)
        trial = LocalTrial(task, self._settings, self.launch(task))
        self.running.append(trial)
        return trial

    def launch(self, task: Task) -> Runner:
        raise NotImplementedError

    def poll(self) -> list[tuple[Trial, Outcome]]:
        found: list[tuple[Trial, Outcome]] = []
        for trial in list(self.running):  # on a Ray node, a thread may add one meanwhile
            if (outcome := trial.poll()) is not None:
                self.running.remove(trial)
                found.append((trial, outcome))
        return found

    def stop(self, trial: Trial, reason: str) -> None:
        assert isinstance(trial, LocalTrial)
        trial.stop(reason)

    def close(self) -> None:
        """Nothing to do: all trials have ended."""
