"""Runs trials side by side until there are no more, or somebody asks for an end."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

from tuner.execution.trial import Outcome, Trial
from tuner.execution.trial_command import Task

_PAUSE = 0.1  # seconds between looks at the trials


class Interrupted(Exception):
    """The study was asked to end; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interrupts:
    """What signals ask for: the first Ctrl-C an end after the running trials, others one at once.

    They only leave a note, so that nothing is cut short in the middle of a write.
    """

    def __init__(self) -> None:
        self.number: int | None = None  # the first signal
        self.at_once = False

    @contextlib.contextmanager
    def heard(self, on_first: Callable[[], None]) -> Iterator[None]:
        def note(number: int, frame: FrameType | None) -> None:
            if self.number is None and number == signal.SIGINT:
                on_first()
            else:
                self.at_once = True
            self.number = self.number or number

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, note) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Engine:
    """Starts trials, at most `parallel` at a time, and hands over how they end."""

    def __init__(
        self,
        launch: Callable[[Task], Trial],
        parallel: int,
        interrupts: Interrupts,
        on_look: Callable[[list[Trial]], None] = lambda running: None,
    ) -> None:
        self._launch, self._parallel = launch, parallel
        self._interrupts, self._on_look = interrupts, on_look

    def run(
        self,
        supply: Callable[[], Task | None],
        done: Callable[[Task, Outcome], None],
        watch: Callable[[Trial], None] = lambda trial: None,
        cut: Callable[[Outcome], None] = lambda outcome: None,
    ) -> None:
        """Runs what `supply` gives until it gives None and all have ended.

        Whatever goes wrong, no trial is left running.

        Raises:
            Interrupted: a signal came. After the first Ctrl-C running trials have ended as they
                would have; otherwise they were stopped, and `cut` is told, not `done`.
        """
        running: list[Trial] = []
        try:
            while True:
                while len(running) < self._parallel and self._interrupts.number is None:
                    task = supply()
                    if task is None:
                        break
                    running.append(self._launch(task))
                if self._interrupts.at_once or not running:
                    break
                time.sleep(_PAUSE)
                for trial in list(running):
                    outcome = trial.poll()
                    if outcome is None:
                        watch(trial)
                    else:
                        running.remove(trial)
                        done(trial.task, outcome)
                self._on_look(running)
        finally:
            for trial in running:
                trial.stop("the study was interrupted")
            for outcome in [trial.end() for trial in running]:
                cut(outcome)
        if self._interrupts.number is not None:
            raise Interrupted(self._interrupts.number)
