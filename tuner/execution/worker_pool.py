"""Runs trials in shared trainer processes: `python -m trainer.batch` trains many side by side.

A process reads trials as JSON lines and answers when they end. As in a tuning service, each trial
has its own flags, environment variables, metric file, job dir, log and exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tuner.execution import process_lock, trial_command
from tuner.execution.local_trial import LocalExecutor, TrialSettings
from tuner.execution.processes import Process
from tuner.execution.trial import LOCK, LOG
from tuner.execution.trial_command import Task

PROGRAM = (sys.executable, "-m", "trainer.batch", "--end-with-input")
# More threads in one process would wait for Python's interpreter lock.
_MOST_CORES = 4
_PATIENCE = 60.0  # seconds from asking a trial to end to ending its worker
_LEAVE = 15.0  # seconds that a process may take to end when there is nothing left to do


def processes(cores: int, trials: int) -> tuple[int, int]:
    """The number of processes that use all cores for `trials` at a time, and the cores of each.

    As few processes as possible: each imports and compiles separately.
    """
    count = min(-(-cores // _MOST_CORES), trials)
    return count, -(-cores // count)


class Worker:
    """A trainer process and its answers."""

    def __init__(self, program: Sequence[str], settings: TrialSettings, log: Path) -> None:
        """Starts it. Raises OSError, StillRunning."""
        self.trials = 0  # how many run in it
        self.log = log
        self._answers: dict[int, dict[str, Any]] = {}
        self._numbers = 0
        lock = process_lock.lock(log.with_suffix(".lock"))
        try:
            with log.open("ab") as errors:
                self._process = subprocess.Popen(
                    program,
                    env=trial_command.outside_services(settings.environment),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,  # the terminal's Ctrl-C is for the tuner
                    pass_fds=[lock],
                )
            process_lock.name_holder(lock, self._process.pid)
        finally:
            os.close(lock)
        self._reader = threading.Thread(target=self._read, name="answers", daemon=True)
        self._reader.start()

    def send(self, order: dict[str, Any]) -> int:
        """Sends a trial; returns the number that its answer will have."""
        self._numbers += 1
        self.trials += 1
        self._write(order | {"id": self._numbers})
        return self._numbers

    def end(self, number: int) -> None:
        """Asks a trial to end with a checkpoint."""
        self._write({"id": number, "stop": True})

    def answer(self, number: int) -> dict[str, Any] | None:
        """How a trial ended, once; None if it has not."""
        found = self._answers.pop(number, None)
        self.trials -= found is not None
        return found

    @property
    def gone(self) -> bool:
        """Whether the process has ended and all of its answers were read."""
        return self._process.poll() is not None and not self._reader.is_alive()

    def kill(self) -> None:
        process_lock.signal_group(self._process.pid, signal.SIGKILL)

    def dismiss(self) -> None:
        """Closes its input: no more trials will come."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def close(self) -> None:
        """Waits for its end; kills it if that takes too long."""
        if not self._numbers and self._process.poll() is None:  # it has run no trials
            self.kill()
        self.dismiss()
        try:
            self._process.wait(_LEAVE)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._reader.join()

    def _write(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # it died; `gone` reports that
            return

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                try:
                    answer = json.loads(line)
                    self._answers[answer["id"]] = answer
                except (ValueError, KeyError, TypeError):
                    continue


class StackExecutor(LocalExecutor):
    """Runs many trials at once in each of a few trainer processes. The caller closes it."""

    def __init__(
        self,
        settings: TrialSettings,
        most: int,
        folder: Path,
        program: Sequence[str] = PROGRAM,
        notify: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Args: `most`: processes; `folder`: for their logs and locks."""
        super().__init__(settings)
        self._most, self._folder, self._program, self._notify = most, folder, program, notify
        self._workers, self._reported = list[Worker](), set[Worker]()
        self._started = 0
        self._turn = threading.Lock()  # on a Ray node, threads submit

    def start(self) -> None:
        """Starts a process before there is a trial for it: its imports take seconds.

        Raises:
            OSError: it cannot be started.
            StillRunning: a process of a killed tuner does not end.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._started:
            end_orphans(self._folder)
        self._started += 1
        log = self._folder / f"worker-{self._started}.log"
        self._workers.append(Worker(self._program, self._settings, log))

    def launch(self, task: Task) -> Slot:
        """Sends a trial to the process with the fewest. Raises OSError, StillRunning."""
        # Ends a process for this trial alone that outlived an earlier tuner.
        os.close(process_lock.lock(task.job_dir / LOCK))
        with self._turn:
            for worker in [worker for worker in self._workers if worker.gone]:
                self._workers.remove(worker)
                worker.close()
            if len(self._workers) < self._most and all(worker.trials for worker in self._workers):
                self.start()
            worker = min(self._workers, key=lambda worker: worker.trials)
            return Slot(worker, self._on_death, task, self._settings)

    def _on_death(self, worker: Worker) -> None:
        if worker not in self._reported:
            self._reported.add(worker)
            self._notify(
                "A trainer process died. Each of its trials continues from its checkpoint in a"
                f" slower process of its own (log: {worker.log})."
            )

    def close(self) -> None:
        """Ends all processes."""
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.close()


class Slot:
    """A trial in a shared trainer process.

    If the process dies, the trial that caused it is unknown. So each trial continues from its
    checkpoint in a process of its own, where it cannot affect others.
    """

    def __init__(
        self,
        worker: Worker,
        on_death: Callable[[Worker], None],
        task: Task,
        settings: TrialSettings,
    ) -> None:
        self._worker, self._on_death = worker, on_death
        self._task, self._settings = task, settings
        self._alone: Process | None = None
        log = task.job_dir / LOG
        self.log_start = log.stat().st_size if log.exists() else 0
        variables = settings.service(task, {})
        self._number = worker.send(
            {"arguments": list(task.words), "environ": variables, "log": str(log)}
        )

    def ended(self, *, stopping: bool) -> tuple[int, float] | None:
        if self._alone is not None:
            return self._alone.ended(stopping=stopping)
        gone = self._worker.gone  # before `answer`: then the last answers have been read
        answer = self._worker.answer(self._number)
        if answer is not None:
            return int(answer["exit_code"]), float(answer.get("cpu_seconds", 0))
        if gone and stopping:
            return -signal.SIGKILL, 0.0
        if gone:
            self._on_death(self._worker)
            self._alone = Process(self._task, self._settings)
            self.log_start = self._alone.log_start
        return None

    def ask(self) -> float:
        if self._alone is not None:
            return self._alone.ask()
        self._worker.end(self._number)
        return _PATIENCE

    def kill(self) -> None:
        (self._alone or self._worker).kill()


def end_orphans(folder: Path) -> None:
    """Ends the trainer processes that a killed tuner left running. Raises StillRunning."""
    for path in sorted(folder.glob("worker-*.lock")):
        os.close(process_lock.lock(path))
        path.unlink(missing_ok=True)
