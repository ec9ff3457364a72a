"""Runs that learn side by side in one process: a few threads share them out among themselves.

A lane takes an even share of the runs that no other lane is at work on, takes them as far as their
next evaluation, as one stack, and gives them back. Compiled programs need no interpreter, so each
lane keeps a core busy; what one has compiled is there for all. One more thread finishes runs that
have been scored, one by one, while the others go on learning.
"""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from typing import TYPE_CHECKING, Any

from trainer.batch.batch_run import Member, Order
from trainer.process.signals import Stopped

if TYPE_CHECKING:
    from trainer.batch.packing import Stack

Work = Callable[[], None]


class Lanes:
    """Takes runs to their ends. They come and go between two evaluations."""

    def __init__(self, lanes: int, stack: Stack, answer: Callable[[Order], None]) -> None:
        """`answer` is told how each run has ended, by whichever thread."""
        self.answer, self._stack, self._lanes = answer, stack, lanes
        self._changed = threading.Condition()  # guards what follows
        self._waiting: list[Member] = []  # for a lane
        self._learning: list[Member] = []  # in one
        self._scored: list[Member] = []  # waiting for their models
        self._finishing: list[Member] = []
        self._open = True  # whether more may come
        self._ending: Stopped | None = None  # why all are to end early
        self._broken = False  # whether something went wrong in a thread
        self._counted = 0.0  # seconds of the processor that have been borne
        self._threads: list[Future[None]] = []

    def start(self) -> None:
        pool = ThreadPoolExecutor(self._lanes + 1, "lane")
        finds = [self._to_learn] * self._lanes + [self._to_finish]
        self._threads = [pool.submit(self._serve, each) for each in finds]

    def wait(self) -> None:
        """Until the last run has ended and no more may come.

        Raises what went wrong in a thread; the others then end too, where they stand.
        """
        for thread in as_completed(self._threads):
            thread.result()

    def add(self, member: Member) -> None:
        """A run that has been begun, or has ended at that."""
        with self._changed:
            self._waiting.append(member)
            self._share_costs()
            member.stopping = self._ending
            if member.exit_code is None and member.stopping is None:
                self._changed.notify_all()
                return
            self._waiting.remove(member)
        member.end_if_asked()
        self.answer(member.close())

    def stop(self, number: Any, stopped: Stopped) -> None:
        """Ends the runs of that number, with checkpoints."""
        with self._changed:
            self._stop([member for member in self._members if member.id == number], stopped)

    def end_early(self, stopped: Stopped) -> None:
        """Ends every run, with a checkpoint, and takes no more."""
        with self._changed:
            self._ending = stopped
            self._stop(self._members, stopped)
            self.close()

    def close(self) -> None:
        """No more will come."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    @property
    def _members(self) -> list[Member]:
        return [*self._waiting, *self._learning, *self._scored, *self._finishing]

    def _stop(self, members: Sequence[Member], stopped: Stopped) -> None:
        """The next thread that has time ends them. Those that are being finished are finished."""
        for member in members:
            if member in self._scored:
                self._scored.remove(member)
                self._waiting.append(member)
            if member not in self._finishing:
                member.stopping = stopped
        self._changed.notify_all()

    def _serve(self, find: Callable[[], Work | None]) -> None:
        """What a thread does: whatever it is to `find`."""
        try:
            while (work := self._next(find)) is not None:
                work()
        except BaseException:
            with self._changed:
                self._broken = True  # nobody would ever give its runs back
                self._changed.notify_all()
            raise

    def _next(self, find: Callable[[], Work | None]) -> Work | None:
        """Waits for something to do; None where there will be nothing more."""
        with self._changed:
            while not self._broken and (self._open or self._members):
                if asked := [m for m in self._waiting if m.stopping is not None]:
                    return partial(self._end, self._take(asked))
                if work := find():
                    return work
                self._changed.wait()
            return None

    def _to_learn(self) -> Work | None:
        if not self._waiting:
            return None
        return partial(self._learn_and_score, self._take(self._share()))

    def _to_finish(self) -> Work | None:
        if not self._scored:
            return None
        self._finishing.append(self._scored.pop(0))
        return partial(self._finish, self._finishing[-1])

    def _share(self) -> list[Member]:
        """Runs to go on with: those of a stack, or one that can be in none."""
        if self._waiting[0].alone:
            return self._waiting[:1]
        even = -(-len(self._waiting + self._learning) // self._lanes)
        return [member for member in self._waiting if not member.alone][:even]

    def _take(self, members: list[Member]) -> list[Member]:
        self._waiting = [member for member in self._waiting if member not in members]
        self._learning += members
        return members

    def _end(self, members: Sequence[Member]) -> None:
        for member in members:
            member.end_if_asked()
        self._give_back(members, [])

    def _learn_and_score(self, members: Sequence[Member]) -> None:
        if members[0].alone:
            members[0].carry_out()
            self._give_back(members, [])
        else:
            self._give_back(members, self._advance(members))

    def _give_back(self, members: Sequence[Member], scored: Sequence[Member]) -> None:
        ended = [member for member in members if member.exit_code is not None]
        with self._changed:
            self._share_costs()
            for member in members:
                self._learning.remove(member)
                if member in scored and member.stopping is None:
                    self._scored.append(member)
                elif member not in ended:
                    self._waiting.append(member)
            self._changed.notify_all()
        for member in ended:
            self.answer(member.close())

    def _finish(self, member: Member) -> None:
        member.attempt(member.finish)
        with self._changed:
            self._share_costs()
            self._finishing.remove(member)
            self._changed.notify_all()
        self.answer(member.close())

    def _advance(self, members: Sequence[Member]) -> list[Member]:
        """Takes runs to their next evaluations; those that are scored, and only lack files."""
        learning = [m for m in members if m.run.progress.learning.any()]
        self._stack.learn([member.run for member in learning])
        for member in learning:
            member.attempt(member.session.on_round)
        for member in members:
            member.end_if_asked()
        members = [member for member in members if member.exit_code is None]
        waiting = [m for m in members if not m.run.progress.learning.any()]
        self._evaluate([m for m in waiting if m.run.progress.training.any()])
        return self._complete([m for m in members if not m.run.progress.training.any()])

    def _evaluate(self, members: Sequence[Member]) -> None:
        for member, scores in zip(members, self._validation(members), strict=True):
            evaluation = member.run.progress.record(scores)
            member.run.keep(evaluation)
            member.attempt(partial(member.session.on_evaluation, evaluation))

    def _complete(self, members: Sequence[Member]) -> list[Member]:
        unknown = [m for m in members if m.run.progress.to_score.any()]
        for member, scores in zip(unknown, self._validation(unknown), strict=True):
            member.run.progress.settle(scores)
        for member in members:
            member.attempt(member.session.trained)
        greedy, sampled = self._stack.score([member.run for member in members])
        # All scores before the first model: nothing slow comes before a tuning metric.
        for member, *returns in zip(members, greedy, sampled, strict=True):
            member.attempt(partial(member.session.score, *returns))
        return [member for member in members if member.exit_code is None]

    def _validation(self, members: Sequence[Member]) -> list[Any]:
        """Mean validation returns `[P]` of each run; NaN for agents whose score is known."""
        returns = self._stack.validate([member.run for member in members])
        return [each.mean(axis=1) for each in returns]

    def _share_costs(self) -> None:
        """All runs that are here bear the processor's time since the last call, by their agents."""
        now, here = _cpu_seconds(), self._members
        agents = sum(member.agents for member in here)
        for member in here:
            member.cpu_seconds += (now - self._counted) * member.agents / agents
        self._counted = now


def _cpu_seconds() -> float:
    """Of this process, and of its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
