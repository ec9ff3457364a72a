"""One run of a batch: begun, taken to its end, or to an early one; what goes wrong is its own."""

from __future__ import annotations

import contextlib
import logging
import os
import time
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from trainer.batch import log_routing
from trainer.contract.command_line import parse
from trainer.process.signals import Stopped
from trainer.run.faults import FAILED, FAULTS, SUCCESS, told
from trainer.run.lifecycle import Session

if TYPE_CHECKING:
    from trainer.run.state import Run

log = logging.getLogger("trainer")

Order = dict[str, Any]  # a line of JSON, as `trainer.batch` describes it


class Member:
    """A run of the batch."""

    def __init__(self, order: Order) -> None:
        """Raises KeyError, TypeError, ValueError, OSError where the order is none."""
        self.id = order["id"]
        self._arguments = [str(word) for word in order["arguments"]]
        self._environ = {str(name): str(value) for name, value in order.get("environ", {}).items()}
        self._log: TextIO | None = None
        if "log" in order:
            self._log = open(order["log"], "a", encoding="utf-8")  # noqa: SIM115, `close` does
        self._started = time.monotonic()
        self._session: Session | None = None
        self.cpu_seconds = 0.0
        self.exit_code: int | None = None
        self.stopping: Stopped | None = None  # why it is to end early

    @property
    def session(self) -> Session:
        assert self._session is not None, "it has been begun"
        return self._session

    @property
    def run(self) -> Run:
        return self.session.run

    @property
    def agents(self) -> int:
        """How many there are of it, for what is borne together."""
        return self.run.progress.size if self._built else 1

    @property
    def alone(self) -> bool:
        """Whether it cannot learn in a stack: where environments cannot be compiled."""
        return self._built and not self.session.stacked

    @property
    def _built(self) -> bool:
        return self._session is not None and hasattr(self._session, "run")

    def begin(self) -> None:
        from trainer.batch.program_shapes import stackable

        with _environment(self._environ):
            self._session = Session(parse(self._arguments), self._arguments, os.environ)
        if self.session.finished:
            self.exit_code = SUCCESS
        else:
            self.session.stacked = stackable(self.session.build())

    def carry_out(self) -> None:
        """All that is left, alone."""

        def check() -> None:
            if self.stopping is not None:
                raise self.stopping

        def work() -> None:
            check()
            self.session.carry_out(check)
            self.exit_code = SUCCESS

        try:
            self.attempt(work)
        except Stopped as stopped:
            self.end_early(stopped)

    def attempt(self, work: Callable[[], object]) -> None:
        """Does some of the run's own work. What goes wrong with it ends this run only."""
        if self.exit_code is not None:
            return
        with self._speaking():
            try:
                work()
            except SystemExit as ended:  # of the command line's reading
                self.exit_code = int(ended.code or 0)
            except FAULTS as fault:
                sentence, exit_code = told(fault)
                log.error("%s", sentence)
                if isinstance(fault, OSError) and self._session is not None:
                    self._session.deliver_what_there_is()
                self.exit_code = exit_code
            except Exception:  # a fault of ours must not take the others with it
                log.error("%s", traceback.format_exc())
                self.exit_code = FAILED

    def end_if_asked(self) -> None:
        """With a checkpoint."""
        if self.stopping is not None:
            self.end_early(self.stopping)

    def end_early(self, stopped: Stopped) -> None:
        def end() -> None:
            if self._session is not None:
                self.session.end_early(stopped)
            self.exit_code = stopped.exit_code

        self.attempt(end)

    def finish(self) -> None:
        """Models, video and manifest."""
        self.session.finish()
        self.exit_code = SUCCESS

    def close(self) -> Order:
        """Lets go of its files; the answer."""
        with self._speaking():
            if self._session is not None:
                self._try(self._session.close)
        if self._log is not None:
            self._try(self._log.close)
        return {
            "id": self.id,
            "exit_code": self.exit_code,
            "seconds": round(time.monotonic() - self._started, 3),
            "cpu_seconds": round(self.cpu_seconds, 6),
        }

    def _speaking(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._log is None else log_routing.speaking_to(self._log)

    def _try(self, work: Callable[[], None]) -> None:
        """A full disk says so once more when files are closed; that ends no other run."""
        try:
            work()
        except OSError as error:
            log.error("%s", told(error)[0])


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Lets a run find its service's variables, which it looks at in the beginning only."""
    before = {name: os.environ.get(name) for name in variables}
    try:
        os.environ.update(variables)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
