"""Shares many runs out among a few threads of one process.

A training thread takes an even share of the runs that wait, carries out the steps that they wait
for, all at once in shared programs, and gives them back. Compiled programs run without the
interpreter's lock, so each thread keeps a core busy. One more thread writes the files of runs that
have been scored, one by one, while the others train.
"""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from typing import TYPE_CHECKING, Any

from trainer.batch.batch_run import BatchRun, Message
from trainer.process.signals import Stopped
from trainer.training.loop import Step

if TYPE_CHECKING:
    from trainer.batch.shared_programs import SharedPrograms

Work = Callable[[], None]


class Scheduler:
    """Carries runs out to their ends."""

    def __init__(
        self, threads: int, programs: SharedPrograms, answer: Callable[[Message], None]
    ) -> None:
        """`answer` is called, by any thread, with the answer to each run."""
        self.answer, self._programs, self._count = answer, programs, threads
        self._changed = threading.Condition()  # guards everything below
        self._waiting: list[BatchRun] = []  # for a training thread
        self._training: list[BatchRun] = []  # in one
        self._scored: list[BatchRun] = []  # waiting for the thread that writes files
        self._finishing: list[BatchRun] = []  # in it
        self._open = True  # whether more runs may come
        self._ending: Stopped | None = None  # the signal or request that ends all runs early
        self._broken = False  # whether a thread has failed
        self._cpu_seconds = 0.0  # processor time that has been charged to runs
        self._threads: list[Future[None]] = []

    def start(self) -> None:
        pool = ThreadPoolExecutor(self._count + 1, "batch")
        finders = [self._find_training] * self._count + [self._find_finishing]
        self._threads = [pool.submit(self._serve, find) for find in finders]

    def wait(self) -> None:
        """Returns after the last run has ended and no more may come.

        Raises the exception of a thread that fails; the others then stop where they are.
        """
        for thread in as_completed(self._threads):
            thread.result()

    def add(self, run: BatchRun) -> None:
        """Takes a run that has begun, or that could not."""
        with self._changed:
            self._waiting.append(run)
            self._share_costs()
            run.stopping = self._ending
            if run.exit_code is None and run.stopping is None:
                self._changed.notify_all()
                return
            self._waiting.remove(run)
        run.end_if_stopped()
        self.answer(run.close())

    def stop(self, run_id: Any, stopped: Stopped) -> None:
        """Ends the run of that id with a checkpoint."""
        with self._changed:
            self._stop([run for run in self._runs if run.id == run_id], stopped)

    def end_early(self, stopped: Stopped) -> None:
        """Ends every run with a checkpoint, and takes no more."""
        with self._changed:
            self._ending = stopped
            self._stop(self._runs, stopped)
            self.close()

    def close(self) -> None:
        """No more runs will come."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    @property
    def _runs(self) -> list[BatchRun]:
        return [*self._waiting, *self._training, *self._scored, *self._finishing]

    def _stop(self, runs: Sequence[BatchRun], stopped: Stopped) -> None:
        """Has the next free thread end them, except the run whose files are being written."""
        for run in runs:
            if run in self._scored:
                self._scored.remove(run)
                self._waiting.append(run)
            if run not in self._finishing:
                run.stopping = stopped
        self._changed.notify_all()

    def _serve(self, find: Callable[[], Work | None]) -> None:
        """The loop of a thread: does the work that `find` returns."""
        try:
            while (work := self._next(find)) is not None:
                work()
        except BaseException:
            with self._changed:
                self._broken = True  # the runs of this thread are lost
                self._changed.notify_all()
            raise

    def _next(self, find: Callable[[], Work | None]) -> Work | None:
        """Waits for work; None when there will be no more."""
        with self._changed:
            while not self._broken and (self._open or self._runs):
                if stopped := [run for run in self._waiting if run.stopping is not None]:
                    return partial(self._end, self._take(stopped))
                if work := find():
                    return work
                self._changed.wait()
            return None

    def _find_training(self) -> Work | None:
        return partial(self._train, self._take(self._share())) if self._waiting else None

    def _find_finishing(self) -> Work | None:
        if not self._scored:
            return None
        self._finishing.append(self._scored.pop(0))
        return partial(self._finish, self._finishing[-1])

    def _share(self) -> list[BatchRun]:
        """An even share of the runs that can share programs, or one that cannot."""
        if self._waiting[0].alone:
            return self._waiting[:1]
        even = -(-len(self._waiting + self._training) // self._count)
        return [run for run in self._waiting if not run.alone][:even]

    def _take(self, runs: list[BatchRun]) -> list[BatchRun]:
        self._waiting = [run for run in self._waiting if run not in runs]
        self._training += runs
        return runs

    def _train(self, runs: Sequence[BatchRun]) -> None:
        """Carries out the steps that the runs wait for, at most one of each kind.

        A run that cannot share programs stays in the thread until it is scored.
        """
        if runs[0].alone:
            while runs[0].step is not None:
                runs[0].go_on_alone()
                runs[0].end_if_stopped()
        else:
            for step in Step:
                waiting = [run for run in runs if run.step is step]
                results = self._programs.execute(step, [run.state for run in waiting])
                for run, result in zip(waiting, results, strict=True):
                    run.go_on(result)
                for run in runs:
                    run.end_if_stopped()
        self._give_back(runs)

    def _end(self, runs: Sequence[BatchRun]) -> None:
        for run in runs:
            run.end_if_stopped()
        self._give_back(runs)

    def _give_back(self, runs: Sequence[BatchRun]) -> None:
        ended = [run for run in runs if run.exit_code is not None]
        with self._changed:
            self._share_costs()
            for run in runs:
                self._training.remove(run)
                if run not in ended:
                    scored = run.step is None and run.stopping is None
                    (self._scored if scored else self._waiting).append(run)
            self._changed.notify_all()
        for run in ended:
            self.answer(run.close())

    def _finish(self, run: BatchRun) -> None:
        run.finish()
        with self._changed:
            self._share_costs()
            self._finishing.remove(run)
            self._changed.notify_all()
        self.answer(run.close())

    def _share_costs(self) -> None:
        """Charges processor time since the last call to all runs, by their numbers of agents."""
        now, runs = _cpu_seconds(), self._runs
        agents = sum(run.agents for run in runs)
        for run in runs:
            run.cpu_seconds += (now - self._cpu_seconds) * run.agents / agents
        self._cpu_seconds = now


def _cpu_seconds() -> float:
    """Processor time of this process, and of its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
