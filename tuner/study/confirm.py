"""Trains the best trials again on fresh seeds, and chooses the winner by those."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.contract.run_record import Scores
from trainer.contract.text import several
from tuner.search import objective, selection
from tuner.search.trial_store import Record
from tuner.study.study_run import StudyFailed, StudyRun


def confirm(run: StudyRun) -> Record:
    """The trial with the highest lower bound on fresh seeds.

    Each candidate trains on half of the seeds first; those that have clearly lost skip the others.

    Raises:
        StudyFailed: no trial has a score, or no candidate succeeds.
        Interrupted: the user asked for an end.
    """
    plan = run.plan
    agents, aim, goal = plan.confirm_seeds, plan.objective, plan.spec.goal
    candidates = run.ranked()[: plan.candidates]
    if not candidates:
        raise StudyFailed(
            f"No trial in {plan.job_dir} has a score. Look at the logs, or give more trials or"
            " time."
        )
    half = agents - agents // 2
    run.display.line(f"confirm: the best {len(candidates)}, each on {half} fresh seeds")
    first = _train(run, candidates, f"confirming with {half} of {agents} seeds", half)
    left = selection.remaining(candidates, first, aim, goal)
    run.display.line(
        f"confirm: {several(len(left), 'trial')} on {agents - half} more;"
        f" {len(candidates) - len(left)} of {len(candidates)} have clearly lost"
    )
    rest = f"confirming with the other {agents - half} of {agents} seeds"
    second = _train(run, left, rest, agents - half)
    both = {number: objective.joined(first[number], second[number]) for number in second}
    run.confirmed = first | both
    winner = selection.chosen(left, both, aim, goal)
    if winner is None:
        raise StudyFailed(
            f"None of the best {len(candidates)} trials succeeded on fresh seeds. Their logs lie in"
            f" {plan.job_dir}/confirm-*; the same command tries again."
        )
    return winner


def _train(
    run: StudyRun, candidates: Sequence[Record], purpose: str, agents: int
) -> dict[int, Scores]:
    """Trains trials again on a seed of their own; trial -> scores of those that succeed."""
    seed = run.study.claim(purpose)
    folder = run.plan.job_dir / f"confirm-{seed}"
    tasks = [
        run.plan.task(
            f"trial {record.number} again",
            record.number,
            folder / str(record.number),
            (seed, agents),
            run.plan.flags(record.values),
            video=False,  # only its scores matter
        )
        for record in candidates
    ]
    found = run.run_all(tasks, agents)
    return {task.trial: found[task.name] for task in tasks if task.name in found}
