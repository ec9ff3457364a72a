"""Runs trials in parallel until there are no more, or the user interrupts."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Protocol

from tuner.execution import machine_faults
from tuner.execution.trial import Outcome, Trial
from tuner.execution.trial_command import Task

_PAUSE = 0.1  # seconds between looks at the trials
_LOCK_PATIENCE, _LOCK_PAUSE = 60.0, 1.0  # seconds that a trial waits for what locks its folder


class Executor(Protocol):
    """Runs trials somewhere: in processes, in shared trainer processes, on a Ray cluster."""

    def submit(self, task: Task) -> Trial:
        """Starts a trial, or queues it. Raises an `Error` if none could be started."""

    def poll(self) -> Sequence[tuple[Trial, Outcome]]:
        """Reads new reports; returns the trials that ended since the last call."""

    def stop(self, trial: Trial, reason: str) -> None:
        """Asks a trial to end with a checkpoint; `poll` returns it once it has."""

    def close(self) -> None:
        """Ends shared processes and connections; all trials have ended before."""


class Interrupted(Exception):
    """The study was asked to end; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interrupts:
    """Signals: the first Ctrl-C lets running trials end; any other signal stops them at once.

    Handlers only set flags, so that they do not interrupt a write or start one inside another.
    """

    def __init__(self) -> None:
        self.number: int | None = None  # the first signal
        self.at_once = False
        self._on_first: Callable[[], None] | None = None

    def announce(self) -> None:
        """Tells the user, once, what the first Ctrl-C does."""
        if self.number == signal.SIGINT and not self.at_once and self._on_first is not None:
            on_first, self._on_first = self._on_first, None
            on_first()

    @contextlib.contextmanager
    def handled(self, on_first: Callable[[], None]) -> Iterator[None]:
        """Installs the signal handlers; `announce` calls `on_first` after the first Ctrl-C."""
        self._on_first = on_first

        def note(number: int, frame: FrameType | None) -> None:
            self.at_once = self.number is not None or number != signal.SIGINT
            self.number = self.number or number

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, note) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Scheduler:
    """Gives trials to an executor, at most `parallel` at a time, and passes on their outcomes."""

    def __init__(
        self,
        executor: Executor,
        parallel: int,
        interrupts: Interrupts,
        prepare: Callable[[Task], None] = lambda task: None,
        on_look: Callable[[Sequence[Trial]], None] = lambda running: None,
    ) -> None:
        """Args: `prepare` is called before a task is submitted, `on_look` after each poll."""
        self._executor, self._parallel = executor, parallel
        self._interrupts, self._prepare, self._on_look = interrupts, prepare, on_look
        self._locked: dict[str, float] = {}  # task -> when its folder was first found locked

    def run(
        self,
        supply: Callable[[], Task | None],
        done: Callable[[Task, Outcome], None],
        why_stop: Callable[[Trial], str] = lambda trial: "",
        cut: Callable[[Outcome], None] = lambda outcome: None,
    ) -> None:
        """Runs the tasks from `supply` until it returns None and all of them have ended.

        All trials have ended when this returns or raises.

        Args:
            why_stop: the reason to stop a running trial, or "".
            cut: called instead of `done` for trials that were stopped by a signal.

        Raises:
            Interrupted: a signal came. After the first Ctrl-C, running trials end by themselves.
        """
        running: list[Trial] = []
        again: list[tuple[float, Task]] = []  # tasks whose folders are locked, and when to retry
        try:
            while True:
                for item in [item for item in again if item[0] <= time.monotonic()]:
                    again.remove(item)
                    running.append(self._submit(item[1]))
                while (
                    len(running) + len(again) < self._parallel and self._interrupts.number is None
                ):
                    task = supply()
                    if task is None:
                        break
                    running.append(self._submit(task))
                if self._interrupts.at_once or not (running or again):
                    break
                time.sleep(_PAUSE)
                self._interrupts.announce()
                for trial, outcome in self._executor.poll():
                    running.remove(trial)
                    if self._waits(trial.task, outcome):
                        again.append((time.monotonic() + _LOCK_PAUSE, trial.task))
                        cut(outcome)
                    else:
                        done(trial.task, outcome)
                for trial in running:
                    if not trial.stopping and (reason := why_stop(trial)):
                        self._executor.stop(trial, reason)
                self._on_look(running)
        finally:
            for trial in running:
                self._executor.stop(trial, "the study was interrupted")
            while running:
                for trial, outcome in self._executor.poll():
                    running.remove(trial)
                    cut(outcome)
                time.sleep(_PAUSE / 2)
        if self._interrupts.number is not None:
            raise Interrupted(self._interrupts.number)

    def _submit(self, task: Task) -> Trial:
        self._prepare(task)
        return self._executor.submit(task)

    def _waits(self, task: Task, outcome: Outcome) -> bool:
        """Whether to submit a trial again: a process that is ending may still hold its lock."""
        if outcome.machine_fault != machine_faults.LOCKED or self._interrupts.number is not None:
            return False
        since = self._locked.setdefault(task.name, time.monotonic())
        return time.monotonic() - since < _LOCK_PATIENCE
