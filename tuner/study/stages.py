"""Tune, confirm, test: each on seeds of its own, so that luck is found out and not reported.

What is chosen by a score looks better than it is. So the search only proposes: its best trials
are trained again on fresh seeds, and the one that is chosen by those on others still.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trainer.contract.errors import Error
from trainer.storage import atomic
from tuner.cloud import job_json
from tuner.execution import metric_file
from tuner.execution.metric_file import Measurement
from tuner.execution.scheduler import Engine, Interrupted
from tuner.execution.trial import BAD_COMMAND, LOG, LOST, SUCCEEDED, Outcome, Trial
from tuner.execution.trial_command import Task
from tuner.outputs import gallery, progress, recipe
from tuner.outputs.live_display import Display
from tuner.outputs.results import Findings
from tuner.search import objective, selection
from tuner.search.objective import Scores
from tuner.search.trial_store import Record, Study
from tuner.spec.diagnostics import several
from tuner.study.plan import Plan, as_flags


class StudyFailed(Error):
    """A study that came to no result; the message says why."""


@dataclass
class Protocol:
    """Carries out a plan. What has been done before is not done again."""

    plan: Plan
    study: Study
    engine: Engine
    display: Display
    read_scores: Callable[[Path, float | None], Scores] = objective.read_scores
    steps: int = 0  # environment steps of confirming and testing
    confirmed: dict[int, Scores] = field(default_factory=dict)  # trial -> on fresh seeds

    def run(self) -> Findings:
        """All three.

        Raises:
            StudyFailed: too many trials failed, or none has a score.
            Interrupted: somebody asked for an end; the same again goes on.
        """
        try:
            self.tune()
            winner = self.confirm()
            return self.test(winner)
        except StudyFailed:
            self._write_study("FAILED")
            raise

    def tune(self) -> None:
        """Searches until the trials or the time are used up."""
        seed = self.study.claim("tuning", self.plan.seed)
        succeeded = [record for record in self.study.records if record.state == SUCCEEDED]
        completed = [record.measurements for record in succeeded]
        changed = False  # since study.json was written

        def supply() -> Task | None:
            nonlocal changed
            late = time.monotonic() > self.plan.deadline
            record = self.study.next_trial(self.plan.max_trials, late=late)
            if record is not None or changed:
                changed = False
                self._write_study("RUNNING")
            if record is None:
                return None
            return self.plan.task(
                f"trial {record.number}",
                record.number,
                self.plan.job_dir / str(record.number),
                (seed, self.plan.seeds),
                self.plan.flags(record.values),
                may_stop_early=bool(self.plan.spec.early_stopping),
            )

        def done(task: Task, outcome: Outcome) -> None:
            nonlocal changed
            changed = True
            if outcome.exit_code == BAD_COMMAND and not succeeded:
                raise StudyFailed(progress.refusal(task, outcome))
            scores = self._scores(task, outcome)
            value = objective.value(scores, self.plan.objective, self.plan.spec.goal)
            gallery.keep(self.study.place(task.trial), self.plan.job_dir, task, self.display.line)
            record = self.study.tell(task.trial, outcome, scores, value)
            is_best = [best.number for best in self._ranked()[:1]] == [record.number]
            flags = as_flags(self.plan.flags(record.values))
            self._tell(progress.trial_line(record, flags, is_best), task, outcome)
            if record.state == SUCCEEDED:
                succeeded.append(record)
                completed.append(record.measurements)
            failures = self.study.failures
            if failures >= self.plan.max_failed:
                raise StudyFailed(
                    f"Of {several(self.plan.max_trials, 'trial')} fewer than"
                    f" {self.plan.max_failed} may fail, but {failures} have. Mend what their logs"
                    " say; the same command goes on."
                )

        def watch(trial: Trial) -> None:
            if trial.task.may_stop_early and metric_file.has_lost(
                trial.measurements, completed, self.plan.spec.goal
            ):
                trial.stop(LOST)

        try:
            self.engine.run(supply, done, watch, self._count_cpu)
        except Interrupted:
            self._write_study("RUNNING")
            raise
        self._write_study("SUCCEEDED")

    def confirm(self) -> Record:
        """Trains the best trials again, on fresh seeds, and chooses by the lower bound.

        Each on half of the seeds first: who has clearly lost by then is spared the others.
        """
        agents, aim, goal = self.plan.confirm_seeds, self.plan.objective, self.plan.spec.goal
        candidates = self._ranked()[: self.plan.candidates]
        if not candidates:
            raise StudyFailed(
                f"A study must have a trial with a score to go on with, but {self.plan.job_dir} has"
                " none. Look at the logs, or give more trials or time."
            )
        half = agents - agents // 2
        self.display.line(f"confirm: the best {len(candidates)}, each on {half} fresh seeds")
        first = self._confirm(candidates, f"confirming with {half} of {agents} seeds", half)
        left = selection.remaining(candidates, first, aim, goal)
        self.display.line(
            f"confirm: {several(len(left), 'trial')} on {agents - half} more;"
            f" {len(candidates) - len(left)} of {len(candidates)} have clearly lost"
        )
        rest = f"confirming with the other {agents - half} of {agents} seeds"
        second = self._confirm(left, rest, agents - half)
        both = {number: objective.joined(first[number], second[number]) for number in second}
        self.confirmed = first | both
        winner = selection.chosen(left, both, aim, goal)
        if winner is None:
            raise StudyFailed(
                "One of the best trials must succeed on fresh seeds, but none of"
                f" {len(candidates)} did. Their logs lie in {self.plan.job_dir}/confirm-*; the same"
                " command tries again."
            )
        return winner

    def _confirm(
        self, candidates: Sequence[Record], purpose: str, agents: int
    ) -> dict[int, Scores]:
        """Trains trials again on a seed of their own; trial -> scores of those that succeed."""
        seed = self.study.claim(purpose)
        folder = self.plan.job_dir / f"confirm-{seed}"
        tasks = [
            self.plan.task(
                f"trial {record.number} again",
                record.number,
                folder / str(record.number),
                (seed, agents),
                self.plan.flags(record.values),
                video=False,  # it is for its scores that it runs again
            )
            for record in candidates
        ]
        found = self._run_all(tasks, agents)
        return {task.trial: found[task.name] for task in tasks if task.name in found}

    def test(self, winner: Record) -> Findings:
        """Measures the winner and the defaults on seeds that nobody has used."""
        agents = self.plan.test_seeds
        seed = self.study.claim(f"testing trial {winner.number} with {agents} seeds")
        self.display.line(
            f"test: trial {winner.number} and the defaults, on {agents} seeds that nobody has used"
        )
        folder = self.plan.job_dir / f"test-{seed}"
        runs = {"winner": (winner.number, self.plan.flags(winner.values)), "defaults": (1, {})}
        tasks = [
            self.plan.task(who, number, folder / who, (seed, agents), tuned)
            for who, (number, tuned) in runs.items()
        ]
        found = self._run_all(tasks, agents)
        if "winner" not in found:
            raise StudyFailed(
                f"Trial {winner.number} must succeed in the test, but did not. Its log is"
                f" {folder / 'winner' / LOG}; the same command tries again."
            )
        values = [record.value for record in self._ranked() if record.value is not None]
        tuned = [_steps(r.scores, r.measurements, self.plan.seeds)
                 for r in self.study.records]  # fmt: skip
        flags, args = as_flags(runs["winner"][1]), self.plan.spec.job.args
        return Findings(
            metric=self.plan.spec.metric,
            goal=self.plan.spec.goal,
            objective=self.plan.objective,
            winner=winner,
            flags=flags,
            args=args,
            claimed=values[0],
            tested=found,
            seeds=self.study.seeds,
            environment_steps=sum(tuned) + self.steps,
            cpu_seconds=self.study.cpu_seconds,
            confirmed=self.confirmed,
            recipe=recipe.record(folder / "winner", (seed, agents), args, flags),
            first_solved=selection.first_solved(self.study.records, self.confirmed),
        )

    def table(self, running: Sequence[Trial]) -> list[str]:
        """What stands under the lines while trials run."""
        return progress.table(
            running,
            self.study.records,
            next(iter(self._ranked()), None),
            self.plan.max_trials,
            self.plan.parallel,
        )

    def _ranked(self) -> list[Record]:
        return selection.ranked(self.study.records, self.plan.objective, self.plan.spec.goal)

    def _run_all(self, tasks: Sequence[Task], agents: int) -> dict[str, Scores]:
        """Runs tasks, finished or not before, and gives the scores of those that succeed."""
        left, found = list(tasks), dict[str, Scores]()

        def supply() -> Task | None:
            return left.pop(0) if left else None

        def done(task: Task, outcome: Outcome) -> None:
            scores = self._scores(task, outcome)
            self._count_cpu(outcome)
            self.steps += _steps(scores, outcome.measurements, agents)
            if outcome.state == SUCCEEDED:
                found[task.name] = scores
            self._tell(progress.part_line(task, outcome, scores), task, outcome)

        self.engine.run(supply, done, cut=self._count_cpu)
        return {task.name: found[task.name] for task in tasks if task.name in found}

    def _count_cpu(self, outcome: Outcome) -> None:
        self.study.add_cpu_seconds(outcome.cpu_seconds)

    def _scores(self, task: Task, outcome: Outcome) -> Scores:
        spec = self.plan.spec
        final = metric_file.counted(outcome.measurements, spec.measurement, spec.goal)
        reported = None if final is None else final.value
        if outcome.state != SUCCEEDED:
            return Scores(reported=reported)
        return self.read_scores(task.job_dir, reported)

    def _tell(self, line: str, task: Task, outcome: Outcome) -> None:
        for each in (line, *progress.last_words(task, outcome)):
            self.display.line(each)

    def _write_study(self, state: str) -> None:
        atomic.write_json(
            self.plan.job_dir / job_json.STUDY,
            job_json.study_json(
                self.plan.spec,
                self.study.records,
                self.plan.name,
                self.plan.where,
                state,
            )
            | {"objective": self.plan.objective},
        )


def _steps(scores: Scores, reports: Sequence[Measurement], agents: int) -> int:
    """Environment steps of all agents: counted, or as far as the last report came."""
    return sum(scores.steps) or (reports[-1].step * agents if reports else 0)
