"""`python -m trainer.batch`: many runs side by side in one process; JSON lines in, results out.

A line is a run: `{"id": 1, "arguments": ["--seed=7", "--job_dir=runs/1"], "environ": {...},
"log": "runs/1.log"}`, its command as `trainer.task` takes it, what a tuning service would say in
environment variables, and where its words go. Answers: `{"id": 1, "exit_code": 0, ...}`, with the
exit codes of `trainer.task`. `{"id": 1, "stop": true}` ends a run, with a checkpoint. Each run
leaves what it would have left alone. The process ends with its input, after the last run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from trainer import runtime, signals
from trainer.console import log_handler, log_to_console, quiet_standard_error
from trainer.endings import BAD_COMMAND, FAILED, FAULTS, SUCCESS, told
from trainer.flags import parse
from trainer.session import Session
from trainer.signals import Stopped

if TYPE_CHECKING:
    from trainer.run import Run
    from trainer.stack import Stack

log = logging.getLogger("trainer")

Order = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until the input ends; 128 + n where signal n ended it."""
    parser = argparse.ArgumentParser(
        prog="python -m trainer.batch", description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--end-with-input",
        action="store_true",
        help="end the runs too, with checkpoints, when the input ends: its writer is gone",
    )
    options = parser.parse_args(arguments)
    runtime.prepare()
    log_to_console(sys.stderr)  # stdout is for answers
    orders: queue.Queue[Order | None] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin, orders), name="orders", daemon=True).start()
    with quiet_standard_error():
        from trainer.stack import Stack
    batch = Batch(Stack(), _answer, ends_with_input=options.end_with_input)
    try:
        with signals.handled():
            batch.serve(orders)
    except Stopped as stopped:
        batch.end_early(stopped)
        return stopped.exit_code
    return 0


class Member:
    """A run of the batch."""

    def __init__(self, order: Order) -> None:
        """Raises KeyError, TypeError, OSError where the order is none."""
        self.id = order["id"]
        self._arguments = [str(word) for word in order["arguments"]]
        self._environ = {str(name): str(value) for name, value in order.get("environ", {}).items()}
        self._log = sys.stderr
        if "log" in order:
            self._log = open(order["log"], "a", encoding="utf-8")  # noqa: SIM115, `close` does
        self._handler = log_handler(self._log)
        self._started = time.monotonic()
        self._session: Session | None = None
        self.cpu_seconds = 0.0
        self.exit_code: int | None = None

    @property
    def session(self) -> Session:
        assert self._session is not None, "it has been begun"
        return self._session

    @property
    def run(self) -> Run:
        return self.session.run

    def begin(self) -> None:
        with self._speaking(), _environment(self._environ):
            self._session = Session(parse(self._arguments), self._arguments, os.environ)
            if self.session.finished:
                self.exit_code = SUCCESS
            else:
                self.session.build()

    def carry_out(self) -> None:
        """All that is left, alone."""
        self.session.carry_out()
        self.exit_code = SUCCESS

    def attempt(self, work: Callable[[], object]) -> None:
        """Does some of the run's own work. What goes wrong with it ends this run only."""
        if self.exit_code is not None:
            return
        before = time.process_time()
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
        self.cpu_seconds += time.process_time() - before

    def end_early(self, stopped: Stopped) -> None:
        def end() -> None:
            if self._session is not None:
                self.session.end_early(stopped)
            self.exit_code = stopped.exit_code

        self.attempt(end)

    def close(self) -> Order:
        """Lets go of its files; the answer."""
        with self._speaking():
            if self._session is not None:
                self._session.close()
        if self._log is not sys.stderr:
            self._log.close()
        return {
            "id": self.id,
            "exit_code": self.exit_code,
            "seconds": round(time.monotonic() - self._started, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
        }

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[None]:
        """What is logged meanwhile is said by this run."""
        before, log.handlers = log.handlers, [self._handler]
        try:
            with contextlib.redirect_stderr(self._log), contextlib.redirect_stdout(self._log):
                yield
        finally:
            log.handlers = before


class Batch:
    """Runs that learn together. They come and go between two evaluations."""

    def __init__(
        self, stack: Stack, answer: Callable[[Order], None], *, ends_with_input: bool = False
    ) -> None:
        self._stack, self._answer, self._ends_with_input = stack, answer, ends_with_input
        self._members: list[Member] = []

    def serve(self, orders: queue.Queue[Order | None]) -> None:
        """Takes orders until there are no more, and carries them out. Raises Stopped."""
        open_ = True
        while open_ or self._members:
            while open_ and (not self._members or not orders.empty()):
                order = orders.get()
                if order is None:
                    open_ = False
                    if self._ends_with_input:
                        self.end_early(Stopped(signal.SIGTERM))
                else:
                    self._take(order)
            self._advance()

    def end_early(self, stopped: Stopped) -> None:
        """Ends every run, with a checkpoint."""
        for member in self._members:
            member.end_early(stopped)
        self._dismiss()

    def _take(self, order: Order) -> None:
        from trainer.stack import stackable

        if order.get("stop"):
            for member in self._members:
                if member.id == order.get("id"):
                    member.end_early(Stopped(signal.SIGTERM))
        else:
            try:
                member = Member(order)
            except (KeyError, TypeError, AttributeError, OSError) as error:
                log.error("An order must have an id, arguments and a log that can be written,"
                          " but: %r in %s", error, json.dumps(order)[:200])  # fmt: skip
                self._answer({"id": order.get("id"), "exit_code": BAD_COMMAND})
                return
            self._members.append(member)
            member.attempt(member.begin)
            if member.exit_code is None and not stackable(member.run):
                # Where environments cannot be compiled there is nothing to be shared.
                member.attempt(member.carry_out)
        self._dismiss()

    def _advance(self) -> None:
        """Takes every run as far as its next evaluation, or through its end."""
        self._learn([m for m in self._members if m.run.progress.learning.any()])
        waiting = [m for m in self._members if not m.run.progress.learning.any()]
        self._evaluate([m for m in waiting if m.run.progress.training.any()])
        self._complete([m for m in self._members if not m.run.progress.training.any()])
        self._dismiss()

    def _learn(self, members: list[Member]) -> None:
        if members:
            with self._shared(members), signals.held():
                self._stack.learn([member.run for member in members])
            for member in members:
                member.attempt(member.session.on_round)

    def _evaluate(self, members: list[Member]) -> None:
        for member, scores in zip(members, self._validation(members), strict=True):
            with signals.held():
                evaluation = member.run.progress.record(scores)
                member.run.keep(evaluation)
                member.attempt(partial(member.session.on_evaluation, evaluation))

    def _complete(self, members: list[Member]) -> None:
        if not members:
            return
        unknown = [m for m in members if m.run.progress.to_score.any()]
        for member, scores in zip(unknown, self._validation(unknown), strict=True):
            member.run.progress.settle(scores)
        for member in members:
            member.attempt(member.session.trained)
        with self._shared(members):
            greedy, sampled = self._stack.score([member.run for member in members])
        # All scores before the first model: nothing slow comes before a tuning metric.
        for member, *returns in zip(members, greedy, sampled, strict=True):
            member.attempt(partial(member.session.score, *returns))
        for member in members:
            member.attempt(member.session.finish)
            if member.exit_code is None:
                member.exit_code = 0
            self._dismiss()

    def _validation(self, members: list[Member]) -> list[Any]:
        """Mean validation returns `[P]` of each run."""
        with self._shared(members):
            returns = self._stack.validate([member.run for member in members])
        return [each.mean(axis=1) for each in returns]

    @contextlib.contextmanager
    def _shared(self, members: list[Member]) -> Iterator[None]:
        """Work for several runs: each bears its agents' part of the processor's time."""
        before = time.process_time()
        yield
        agents = sum(member.run.progress.size for member in members)
        for member in members:
            share = member.run.progress.size / agents
            member.cpu_seconds += share * (time.process_time() - before)

    def _dismiss(self) -> None:
        """Answers for those that have ended."""
        for member in [m for m in self._members if m.exit_code is not None]:
            self._members.remove(member)
            self._answer(member.close())


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Lets a run find its service's variables, which it looks at in the beginning only."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _read(lines: IO[str], orders: queue.Queue[Order | None]) -> None:
    """Hands over what stands on each line; None at the end."""
    for line in lines:
        try:
            order = json.loads(line)
        except ValueError:
            order = None
        if isinstance(order, dict):
            orders.put(order)
        elif line.strip():
            log.error("A line must be a JSON object, but is %s", line.strip()[:200])
            orders.put({"id": None})
    orders.put(None)


def _answer(answer: Order) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    if code >= FAILED:
        os._exit(code)  # an upload that hangs must not hold up the end
