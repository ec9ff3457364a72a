"""Trials that share trainer processes: `python -m trainer.batch` trains many side by side.

A worker takes trials as JSON lines and answers when they end. It is the cloud's contract all the
same: each trial has its own flags, variables, metric file, job dir, log and exit code.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tuner import command, orphans
from tuner.command import Task
from tuner.trials import LOG, METRIC, Outcome, Setting, Trial

PROGRAM = (sys.executable, "-m", "trainer.batch", "--end-with-input")
_PATIENCE = 60.0  # seconds from asking a trial to end to ending its worker
_LEAVE = 15.0  # seconds that a worker has to leave when there is nothing left to do


class Worker:
    """A trainer process, and what it has answered."""

    def __init__(self, program: Sequence[str], setting: Setting, log: Path) -> None:
        """Starts it. Raises OSError."""
        self.trials = 0  # that it is at work on
        self._answers: dict[int, dict[str, Any]] = {}
        self._numbers = 0
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                program,
                env=command.outside_services(setting.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # the terminal's Ctrl-C is the tuner's to hear
            )
        self._reader = threading.Thread(target=self._read, name="answers", daemon=True)
        self._reader.start()

    def send(self, order: dict[str, Any]) -> int:
        """Hands over a trial; the number under which its answer will come."""
        self._numbers += 1
        self.trials += 1
        self._write(order | {"id": self._numbers})
        return self._numbers

    def end(self, number: int) -> None:
        """Asks for a trial's end, with a checkpoint."""
        self._write({"id": number, "stop": True})

    def answer(self, number: int) -> dict[str, Any] | None:
        """How a trial ended, once; None where it has not."""
        found = self._answers.pop(number, None)
        self.trials -= found is not None
        return found

    @property
    def gone(self) -> bool:
        """Whether nothing more will be answered."""
        return self._process.poll() is not None and not self._reader.is_alive()

    def kill(self) -> None:
        orphans.signal_group(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Lets it end."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
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
        except (OSError, ValueError):  # it is gone, and whoever waits for an answer will see that
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


class Workers:
    """As many trainer processes as there are trials for them, up to a number. Close them."""

    def __init__(
        self, most: int, setting: Setting, folder: Path, program: Sequence[str] = PROGRAM
    ) -> None:
        self._most, self._setting, self._program = most, setting, program
        self._folder, self._workers = folder, list[Worker]()
        self._started = 0

    def launch(self, task: Task) -> SharedTrial:
        """Gives a trial to the worker with the fewest. Raises OSError."""
        for worker in [worker for worker in self._workers if worker.gone]:
            self._workers.remove(worker)
            worker.close()
        if len(self._workers) < self._most and all(worker.trials for worker in self._workers):
            self._started += 1
            log = self._folder / f"worker-{self._started}.log"
            self._workers.append(Worker(self._program, self._setting, log))
        worker = min(self._workers, key=lambda worker: worker.trials)
        return SharedTrial(task, self._setting, worker)

    def close(self) -> None:
        """Lets all of them end."""
        for worker in self._workers:
            worker.close()


class SharedTrial(Trial):
    """A trial that a worker trains beside others.

    Where the worker dies nobody knows whose fault it was. So each of its trials goes on from its
    checkpoint in a process of its own, where it can harm itself only.
    """

    def __init__(self, task: Task, setting: Setting, worker: Worker) -> None:
        self._setting, self._worker = setting, worker
        super().__init__(task, setting)

    def _start(self, setting: Setting) -> None:
        service = command.environment(
            {},
            trial=self.task.trial,
            metric_file=self.task.job_dir / METRIC,
            metric=setting.metric,
            job=setting.job,
        )
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self._alone = False
        self._number = self._worker.send(
            {
                "arguments": list(self.task.words),
                "environ": service,
                "log": str(self.task.job_dir / LOG),
            }
        )

    def poll(self) -> Outcome | None:
        if self._alone:
            return super().poll()
        gone = self._worker.gone  # asked first: its last answers are in by then
        answer = self._worker.answer(self._number)
        self._read_metric()
        now = time.monotonic()
        if answer is not None:
            return self._outcome(
                int(answer["exit_code"]), now - self.started, float(answer.get("cpu_seconds", 0))
            )
        if gone and self._stopping:
            return self._outcome(-signal.SIGKILL, now - self.started, 0.0)
        if gone:
            self._alone = True
            super()._start(self._setting)
        elif now - self.started > self._time_limit and not self._stopping:
            self.stop(f"it ran for more than {self._time_limit:g} s")
        elif now > self._kill_at:
            self._worker.kill()
        return None

    def stop(self, reason: str) -> None:
        if self._alone:
            super().stop(reason)
        elif not self._stopping:
            self._stopping = reason
            self._kill_at = time.monotonic() + _PATIENCE
            self._worker.end(self._number)
