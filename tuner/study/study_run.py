"""Shared by the stages of a study: its plan, its trials so far, the means to run more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainer.contract.errors import Error
from trainer.contract.run_record import Scores
from trainer.storage import atomic, run_files
from tuner.cloud import job_json
from tuner.execution import metric_file
from tuner.execution.metric_file import Measurement
from tuner.execution.scheduler import Scheduler
from tuner.execution.trial import SUCCEEDED, Outcome, Trial
from tuner.execution.trial_command import Task
from tuner.outputs import progress
from tuner.outputs.live_display import Display
from tuner.search import selection
from tuner.search.trial_store import Record, Study
from tuner.study.plan import Plan


class StudyFailed(Error):
    """A study that ended without a result."""


@dataclass
class StudyRun:
    """A running study."""

    plan: Plan
    study: Study
    scheduler: Scheduler
    display: Display
    read_scores: Callable[[Path, float | None], Scores] = run_files.read_scores
    steps: int = 0  # environment steps of confirming and testing
    confirmed: dict[int, Scores] = field(default_factory=dict)  # trial -> on fresh seeds

    def run_all(self, tasks: Sequence[Task], agents: int) -> dict[str, Scores]:
        """Runs tasks (finished ones end at once); returns the scores of successful ones by name."""
        left, found = list(tasks), dict[str, Scores]()

        def supply() -> Task | None:
            return left.pop(0) if left else None

        def done(task: Task, outcome: Outcome) -> None:
            scores = self.scores(task, outcome)
            self.count_cpu(outcome)
            self.steps += steps_of(scores, outcome.measurements, agents)
            if outcome.state == SUCCEEDED:
                found[task.name] = scores
            self.report(progress.part_line(task, outcome, scores), task, outcome)

        self.scheduler.run(supply, done, cut=self.count_cpu)
        return {task.name: found[task.name] for task in tasks if task.name in found}

    def scores(self, task: Task, outcome: Outcome) -> Scores:
        """The scores of a trial's agents."""
        spec = self.plan.spec
        final = metric_file.counted(outcome.measurements, spec.measurement, spec.goal)
        reported = None if final is None else final.value
        if outcome.state != SUCCEEDED:
            return Scores(reported=reported)
        return self.read_scores(task.job_dir, reported)

    def ranked(self) -> list[Record]:
        """The trials with a score, best first."""
        return selection.ranked(self.study.records, self.plan.objective, self.plan.spec.goal)

    def count_cpu(self, outcome: Outcome) -> None:
        self.study.add_cpu_seconds(outcome.cpu_seconds)

    def report(self, line: str, task: Task, outcome: Outcome) -> None:
        """Tells the user how a task ended."""
        for each in (line, *progress.last_words(task, outcome)):
            self.display.line(each)

    def table(self, running: Sequence[Trial]) -> list[str]:
        """The lines of the live table."""
        return progress.table(
            running,
            self.study.records,
            next(iter(self.ranked()), None),
            self.plan.max_trials,
            self.plan.parallel,
        )

    def write_study(self, state: str) -> None:
        """Writes study.json, the trials as a tuning service describes them."""
        plan = self.plan
        content = job_json.study_json(plan.spec, self.study.records, plan.name, plan.where, state)
        atomic.write_json(plan.job_dir / job_json.STUDY, {**content, "objective": plan.objective})


def steps_of(scores: Scores, reports: Sequence[Measurement], agents: int) -> int:
    """Environment steps of all agents: as counted by the trainer, or up to the last report."""
    return sum(scores.steps) or (reports[-1].step * agents if reports else 0)
