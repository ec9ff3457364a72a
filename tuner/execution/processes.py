"""Runs each trial in a process of its own, in a container if one is configured."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys

from tuner.execution import process_lock
from tuner.execution.local_trial import LocalExecutor, TrialSettings
from tuner.execution.trial import LOCK, LOG
from tuner.execution.trial_command import Task


class Process:
    """A trial's own process."""

    def __init__(self, task: Task, settings: TrialSettings) -> None:
        """Starts it.

        Raises:
            OSError: it cannot be started.
            StillRunning, ContainerError: an earlier process or container does not end.
        """
        self._job_dir, self._containers = task.job_dir, settings.containers
        environment = settings.service(task, settings.environment)
        words = [*settings.program, *task.words]
        if self._containers is not None:
            self._containers.remove(self._job_dir)
            words = self._containers.command(self._job_dir, task.words, environment)
            environment = dict(settings.environment)  # the engine's client needs the user's
        if settings.attached:
            words = [sys.executable, "-m", "tuner.execution.attached", *words]
        lock = process_lock.lock(self._job_dir / LOCK)
        try:
            with (self._job_dir / LOG).open("ab") as log:
                self.log_start = log.tell()
                self.process = subprocess.Popen(
                    words,
                    env=environment,
                    stdin=subprocess.PIPE if settings.attached else subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # the terminal's Ctrl-C is for the tuner
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
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self._containers is None:
            return code, _children_cpu() - before
        if stopping or code < 0:  # the client may have ended before the container
            self._containers.remove(self._job_dir)
        return code, 0.0  # unknown: the trainer is a child of the container engine

    def ask(self) -> float:
        process_lock.signal_group(self.process.pid, signal.SIGTERM)
        return process_lock.GRACE

    def kill(self) -> None:
        if self._containers is not None:
            self._containers.kill(self._job_dir)
        process_lock.signal_group(self.process.pid, signal.SIGKILL)


class ProcessExecutor(LocalExecutor):
    """Runs each trial in a process of its own."""

    def launch(self, task: Task) -> Process:
        return Process(task, self._settings)


def _children_cpu() -> float:
    """CPU seconds of all children that have been waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
