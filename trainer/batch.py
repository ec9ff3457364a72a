"""`python -m trainer.batch`: many runs side by side in one process; JSON lines in, results out.

A line is a run: `{"id": 1, "arguments": ["--seed=7", "--job_dir=runs/1"], "environ": {...},
"log": "runs/1.log"}`, its command as `trainer.task` takes it, what a tuning service would say in
environment variables, and where its words go. Answers: `{"id": 1, "exit_code": 0, ...}`, with the
exit codes of `trainer.task`. `{"id": 1, "stop": true}` ends a run, with a checkpoint. Each run
leaves what it would have left alone. The process ends with its input, after the last run.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import queue
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from trainer import runtime, signals, voices
from trainer.console import log_to_console, quiet_standard_error
from trainer.endings import BAD_COMMAND
from trainer.member import Member, Order
from trainer.signals import Stopped

if TYPE_CHECKING:
    from trainer.stack import Stack

log = logging.getLogger("trainer")

Event = Order | Member | None  # an order, a run that has been finished, or the end of the input


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
    runtime.prefer_one_core()
    log_to_console(sys.stderr)  # stdout is for answers
    events: queue.Queue[Event] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin, events), name="orders", daemon=True).start()
    with quiet_standard_error(), runtime.importing():
        from trainer import export, stack  # noqa: F401, all that is slow to import
    answers = sys.stdout
    batch = Batch(
        stack.Stack(),
        lambda answer: print(json.dumps(answer), file=answers, flush=True),
        events,
        ends_with_input=options.end_with_input,
    )
    with voices.heard(sys.stderr):
        try:
            with signals.handled():
                batch.serve()
        except Stopped as stopped:
            batch.end_early(stopped)
            return stopped.exit_code
    return 0


class Batch:
    """Runs that learn together. They come and go between two evaluations.

    A thread finishes those that have been scored, one by one, while the others go on learning.
    """

    def __init__(
        self,
        stack: Stack,
        answer: Callable[[Order], None],
        events: queue.Queue[Event],
        *,
        ends_with_input: bool = False,
    ) -> None:
        self._stack, self._answer, self._ends_with_input = stack, answer, ends_with_input
        self._events = events
        self._members: list[Member] = []
        self._finisher = ThreadPoolExecutor(1, "finisher")
        self._finishing: dict[Member, Future[None]] = {}
        self._counted = 0.0  # seconds of the processor that have been borne

    def serve(self) -> None:
        """Takes orders until there are no more, and carries them out. Raises Stopped."""
        open_ = True
        while open_ or self._members or self._finishing:
            while not self._events.empty() or not self._members:
                event = self._events.get()
                if isinstance(event, dict):
                    self._take(event)
                elif event is not None:
                    self._dismiss_finished([event])
                else:
                    open_ = False
                    if self._ends_with_input:
                        self.end_early(Stopped(signal.SIGTERM))
                if not (open_ or self._members or self._finishing):
                    return
            self._advance()

    def end_early(self, stopped: Stopped) -> None:
        """Ends every run, with a checkpoint; the one that is being finished is finished."""
        for member in [*self._members, *self._finishing]:
            self._end(member, stopped)
        wait(self._finishing.values())
        self._dismiss_finished([*self._finishing])
        self._dismiss_ended()

    def _end(self, member: Member, stopped: Stopped) -> None:
        """Ends a run with a checkpoint, unless its models are on their way."""
        if member not in self._finishing:
            member.end_early(stopped)
        elif self._finishing[member].cancel():
            member.end_early(stopped)
            self._dismiss_finished([member])

    def _take(self, order: Order) -> None:
        from trainer.shapes import stackable

        if order.get("stop"):
            for member in [*self._members, *self._finishing]:
                if member.id == order.get("id"):
                    self._end(member, Stopped(signal.SIGTERM))
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
            if member.exit_code is None:
                member.session.stacked = stackable(member.run)
                if not member.session.stacked:
                    # Where environments cannot be compiled there is nothing to be shared.
                    member.attempt(member.carry_out)
        self._dismiss_ended()

    def _advance(self) -> None:
        """Takes every run as far as its next evaluation, or to where only files are missing."""
        self._learn([m for m in self._members if m.run.progress.learning.any()])
        waiting = [m for m in self._members if not m.run.progress.learning.any()]
        self._evaluate([m for m in waiting if m.run.progress.training.any()])
        self._complete([m for m in self._members if not m.run.progress.training.any()])
        self._dismiss_ended()

    def _learn(self, members: list[Member]) -> None:
        with signals.held():
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
        unknown = [m for m in members if m.run.progress.to_score.any()]
        for member, scores in zip(unknown, self._validation(unknown), strict=True):
            member.run.progress.settle(scores)
        for member in members:
            member.attempt(member.session.trained)
        greedy, sampled = self._stack.score([member.run for member in members])
        # All scores before the first model: nothing slow comes before a tuning metric.
        for member, *returns in zip(members, greedy, sampled, strict=True):
            member.attempt(partial(member.session.score, *returns))
        for member in members:
            if member.exit_code is None:
                self._members.remove(member)
                self._hand_over(member)

    def _hand_over(self, member: Member) -> None:
        """To the thread that finishes runs."""
        self._finishing[member] = self._finisher.submit(self._finish, member)

    def _finish(self, member: Member) -> None:
        """In a thread of its own."""
        member.attempt(member.finish)
        self._events.put(member)

    def _validation(self, members: list[Member]) -> list[Any]:
        """Mean validation returns `[P]` of each run; NaN for agents whose score is known."""
        returns = self._stack.validate([member.run for member in members])
        return [each.mean(axis=1) for each in returns]

    def _dismiss_ended(self) -> None:
        """Answers for those that need no models, or can have none."""
        self._share_costs()
        for member in [m for m in self._members if m.exit_code is not None]:
            self._members.remove(member)
            self._answer(member.close())

    def _dismiss_finished(self, members: Sequence[Member]) -> None:
        """Answers for those that the finisher is done with."""
        self._share_costs()
        for member in members:
            if self._finishing.pop(member, None) is not None:
                self._answer(member.close())

    def _share_costs(self) -> None:
        """All runs that are here bear the processor's time since the last call, by their agents."""
        now = _cpu_seconds()
        here = [*self._members, *self._finishing]
        agents = sum(member.agents for member in here)
        for member in here:
            member.cpu_seconds += (now - self._counted) * member.agents / agents
        self._counted = now


def _cpu_seconds() -> float:
    """Of this process, and of its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _read(lines: IO[str], events: queue.Queue[Event]) -> None:
    """Hands over what stands on each line; None at the end."""
    for line in lines:
        try:
            order = json.loads(line)
        except ValueError:
            order = None
        if isinstance(order, dict):
            events.put(order)
        elif line.strip():
            log.error("A line must be a JSON object, but is %s", line.strip()[:200])
            events.put({"id": None})
    events.put(None)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # at once: an upload may hang, and TensorFlow takes a second to leave
