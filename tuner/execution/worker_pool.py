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
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tuner.execution import process_lock, trial_command
from tuner.execution.trial import LOG, Process, Setting, Trial, service
from tuner.execution.trial_command import Task

PROGRAM = (sys.executable, "-m", "trainer.batch", "--end-with-input")
# For which a process has threads, where there are trials enough; with more they would wait for its
# interpreter.
_MOST_CORES = 4
_PATIENCE = 60.0  # seconds from asking a trial to end to ending its worker
_LEAVE = 15.0  # seconds that a worker has to leave when there is nothing left to do


def crew(cores: int, trials: int) -> tuple[int, tuple[str, ...]]:
    """How many processes so many trials at a time are to share, and the command of each.

    As few as can keep all cores busy: each imports and compiles for itself. A trial keeps one.
    """
    processes = min(-(-cores // _MOST_CORES), trials)
    return processes, (*PROGRAM, f"--cores={-(-cores // processes)}")


class Worker:
    """A trainer process, and what it has answered."""

    def __init__(self, program: Sequence[str], setting: Setting, log: Path) -> None:
        """Starts it. Raises OSError."""
        self.trials = 0  # that it is at work on
        self.log = log
        self._answers: dict[int, dict[str, Any]] = {}
        self._numbers = 0
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                program,
                env=trial_command.outside_services(setting.environment),
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
        process_lock.signal_group(self._process.pid, signal.SIGKILL)

    def dismiss(self) -> None:
        """There is nothing more to do for it."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def close(self) -> None:
        """Waits for its end."""
        if not self._numbers and self._process.poll() is None:  # it has nothing to lose
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
        self,
        most: int,
        setting: Setting,
        folder: Path,
        program: Sequence[str] = PROGRAM,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._say, self._mourned = say, set[Worker]()
        self._most, self._setting, self._program = most, setting, program
        self._folder, self._workers = folder, list[Worker]()
        self._started = 0

    def start(self) -> None:
        """Starts a worker before there is a trial for it: its imports take seconds."""
        self._started += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        log = self._folder / f"worker-{self._started}.log"
        self._workers.append(Worker(self._program, self._setting, log))

    def launch(self, task: Task) -> Trial:
        """Gives a trial to the worker with the fewest. Raises OSError."""
        for worker in [worker for worker in self._workers if worker.gone]:
            self._workers.remove(worker)
            worker.close()
        if len(self._workers) < self._most and all(worker.trials for worker in self._workers):
            self.start()
        worker = min(self._workers, key=lambda worker: worker.trials)
        return Trial(task, self._setting, partial(Seat, worker, self._on_death))

    def _on_death(self, worker: Worker) -> None:
        if worker not in self._mourned:
            self._mourned.add(worker)
            self._say(
                "A trainer process has died. What it was at goes on, each trial in a slower process"
                f" of its own (log: {worker.log})."
            )

    def close(self) -> None:
        """Lets all of them end."""
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            worker.close()


class Seat:
    """A trial's place in a worker, which trains it beside others.

    Where the worker dies nobody knows whose fault it was. So each of its trials goes on from its
    checkpoint in a process of its own, where it can harm itself only.
    """

    def __init__(
        self, worker: Worker, on_death: Callable[[Worker], None], task: Task, setting: Setting
    ) -> None:
        self._worker, self._on_death = worker, on_death
        self._task, self._setting = task, setting
        self._alone: Process | None = None
        log = task.job_dir / LOG
        self.log_start = log.stat().st_size if log.exists() else 0
        variables = service(task, setting, {})
        self._number = worker.send(
            {"arguments": list(task.words), "environ": variables, "log": str(log)}
        )

    def ended(self, *, stopping: bool) -> tuple[int, float] | None:
        if self._alone is not None:
            return self._alone.ended(stopping=stopping)
        gone = self._worker.gone  # asked first: its last answers are in by then
        answer = self._worker.answer(self._number)
        if answer is not None:
            return int(answer["exit_code"]), float(answer.get("cpu_seconds", 0))
        if gone and stopping:
            return -signal.SIGKILL, 0.0
        if gone:
            self._on_death(self._worker)
            self._alone = Process(self._task, self._setting)
            self.log_start = self._alone.log_start
        return None

    def ask(self) -> float:
        if self._alone is not None:
            return self._alone.ask()
        self._worker.end(self._number)
        return _PATIENCE

    def kill(self) -> None:
        (self._alone or self._worker).kill()
