"""The search: asks for trials, runs them, stops bad ones early, stores how they ended."""

from __future__ import annotations

import time

from trainer.contract.errors import BAD_COMMAND
from trainer.contract.text import several
from tuner.execution.scheduler import Interrupted
from tuner.execution.trial import STOPPED_EARLY, SUCCEEDED, Outcome, Trial
from tuner.execution.trial_command import Task
from tuner.outputs import artifacts, progress
from tuner.search import early_stopping, objective
from tuner.study.plan import as_flags
from tuner.study.study_run import StudyFailed, StudyRun


def tune(run: StudyRun) -> None:
    """Searches until the trials or the time are used up.

    Raises:
        StudyFailed: too many trials failed, or the trainer refuses their command.
        Interrupted: the user asked for an end.
    """
    search = Search(run)
    try:
        run.scheduler.run(search.next_task, search.ended, search.why_stop, run.count_cpu)
    except Interrupted:
        run.write_study("CANCELLED")  # the services' word; the same command continues
        raise
    run.write_study("SUCCEEDED")


class Search:
    """The search loop's three steps: ask, tell, stop early."""

    def __init__(self, run: StudyRun) -> None:
        self._run, self._plan, self._study = run, run.plan, run.study
        self._seed = self._study.claim("tuning", self._plan.seed)
        succeeded = [each for each in self._study.records if each.state == SUCCEEDED]
        self._completed = [record.measurements for record in succeeded]
        self._changed = False  # since study.json was written

    def next_task(self) -> Task | None:
        """The next trial; None if there are enough, or it is late."""
        late = time.monotonic() > self._plan.deadline
        record = self._study.next_trial(self._plan.max_trials, late=late)
        if record is not None or self._changed:
            self._changed = False
            self._run.write_study("RUNNING")
        if record is None:
            return None
        return self._plan.task(
            f"trial {record.number}",
            record.number,
            self._plan.job_dir / str(record.number),
            (self._seed, self._plan.seeds),
            self._plan.flags(record.values),
            may_stop_early=bool(self._plan.spec.early_stopping),
        )

    def ended(self, task: Task, outcome: Outcome) -> None:
        """Stores and reports how a trial ended. Raises StudyFailed."""
        self._changed = True
        if outcome.exit_code == BAD_COMMAND and not self._completed:
            raise StudyFailed(progress.refusal(task, outcome))
        scores = self._run.scores(task, outcome)
        value = objective.value(scores, self._plan.objective, self._plan.spec.goal)
        target = self._study.storage_and_trial(task.trial)
        artifacts.keep(target, self._plan.job_dir, task, self._run.display.line)
        record = self._study.tell(task.trial, outcome, scores, value)
        is_best = [best.number for best in self._run.ranked()[:1]] == [record.number]
        flags = as_flags(self._plan.flags(record.values))
        self._run.report(progress.trial_line(record, flags, is_best), task, outcome)
        if record.state == SUCCEEDED:
            self._completed.append(record.measurements)
        self._check_failures(outcome)

    def why_stop(self, trial: Trial) -> str:
        """The reason to stop a trial early, or ""."""
        lost = trial.task.may_stop_early and early_stopping.is_below_median(
            trial.measurements, self._completed, self._plan.spec.goal
        )
        return STOPPED_EARLY if lost else ""

    def _check_failures(self, outcome: Outcome) -> None:
        most, trials = self._plan.max_failed, several(self._plan.max_trials, "trial")
        if self._study.failures >= most:
            raise StudyFailed(
                f"{self._study.failures} of {trials} failed; maxFailedTrials allows fewer than"
                f" {most}. Fix the errors in their logs; the same command continues the study."
            )
        if self._study.machine_faults_in_a_row >= most:
            raise StudyFailed(
                f"{most} trials in a row ended because of the machine:"
                f" {outcome.machine_fault}. Fix that; the same command runs them again."
            )
