"""One run of a batch, carried out step by step; its errors end no other run."""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from trainer.batch import log_routing
from trainer.contract.command_line import parse
from trainer.contract.errors import FAILED, SUCCESS, Error
from trainer.process.signals import Stopped
from trainer.run.errors import as_error
from trainer.run.lifecycle import Run
from trainer.run.setup import prepare
from trainer.training.loop import Step, Steps, next_step

if TYPE_CHECKING:
    from trainer.run.state import RunState

log = logging.getLogger("trainer")

Message = dict[str, Any]  # a line of JSON, as `trainer.batch` describes it


class BatchRun:
    """A run, from the request for it to the answer, which are lines of JSON."""

    def __init__(self, request: Message, environ: Mapping[str, str]) -> None:
        """Raises KeyError, TypeError, ValueError or OSError if the request is not valid.

        Args:
            environ: the environment variables of the process; the request may add some.
        """
        self.id = request["id"]
        self._arguments = [str(word) for word in request["arguments"]]
        own = {str(name): str(value) for name, value in request.get("environ", {}).items()}
        self._environ = {**environ, **own}
        self._log: TextIO | None = None
        if "log" in request:
            self._log = open(request["log"], "a", encoding="utf-8")  # noqa: SIM115, see `close`
        self._started = time.monotonic()
        self._run: Run | None = None
        self._steps: Steps | None = None
        self._step: Step | None = None
        self.cpu_seconds = 0.0
        self.exit_code: int | None = None
        self.stopping: Stopped | None = None  # the signal or request that ends it early

    @property
    def step(self) -> Step | None:
        """The step that it waits for; None once it is scored, or has ended."""
        return self._step if self.exit_code is None else None

    @property
    def state(self) -> RunState:
        assert self._run is not None, "it has begun"
        return self._run.state

    @property
    def agents(self) -> int:
        """The number of agents; processor time is shared out by it."""
        return 1 if self._steps is None else self.state.progress.size

    @property
    def alone(self) -> bool:
        """Whether it cannot share programs, because its environment cannot be compiled."""
        return self._run is not None and self._steps is not None and not self._run.stacked

    def begin(self) -> None:
        """Opens its job dir and builds its agents."""
        self.attempt(self._begin)

    def _begin(self) -> None:
        from trainer.batch.program_shapes import stackable

        run = Run(prepare(parse(self._arguments), self._arguments, self._environ))
        run.open()
        self._run = run
        if run.finished:
            self.exit_code = SUCCESS
            return
        run.stacked = stackable(run.build())
        self._steps = run.steps()
        self._step = next_step(self._steps)

    def go_on(self, result: Any) -> None:
        """Continues with the result of the step that it waited for, until the next one."""
        self.attempt(lambda: self._go_on(result))

    def go_on_alone(self) -> None:
        """Carries out the step that it waits for, and continues."""

        def work() -> None:
            assert self._step is not None
            self._go_on(self.state.execute(self._step))

        self.attempt(work)

    def _go_on(self, result: Any) -> None:
        assert self._steps is not None
        self._step = next_step(self._steps, result)

    def finish(self) -> None:
        """Writes models, video and manifest."""

        def work() -> None:
            assert self._run is not None
            self._run.finish()
            self.exit_code = SUCCESS

        self.attempt(work)

    def end_if_stopped(self) -> None:
        """Ends with a checkpoint, if `stopping` is set."""
        if (stopped := self.stopping) is None:
            return

        def work() -> None:
            if self._run is not None:
                self._run.end_early(stopped)
            self.exit_code = stopped.exit_code

        self.attempt(work)

    def attempt(self, work: Callable[[], None]) -> None:
        """Does some work unless the run has ended; an error ends it."""
        if self.exit_code is not None:
            return
        with self._output():
            try:
                work()
            except SystemExit as ended:  # raised by the command line's parser
                self.exit_code = int(ended.code or 0)
            except (Error, OSError) as error:
                failure = as_error(error)
                log.error("%s", failure)
                if self._run is not None:
                    self._run.save_after(error)
                self.exit_code = failure.exit_code
            except Exception:  # a bug must not end the other runs
                log.error("%s", traceback.format_exc())
                self.exit_code = FAILED

    def close(self) -> Message:
        """Closes its files and returns the answer."""
        with self._output():
            if self._run is not None:
                self._try(self._run.close)
        if self._log is not None:
            self._try(self._log.close)
        return {
            "id": self.id,
            "exit_code": self.exit_code,
            "seconds": round(time.monotonic() - self._started, 3),
            "cpu_seconds": round(self.cpu_seconds, 6),
        }

    def _output(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._log is None else log_routing.output_to(self._log)

    def _try(self, work: Callable[[], None]) -> None:
        """Closes a file. On a full disk that fails too, which must not end other runs."""
        try:
            work()
        except OSError as error:
            log.error("%s", as_error(error))
