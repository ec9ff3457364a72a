"""Measures the winner and the trainer's defaults on seeds that nothing else has used."""

from __future__ import annotations

from tuner.execution.trial import LOG
from tuner.outputs import recipe
from tuner.outputs.results import StudyResult
from tuner.search import selection
from tuner.search.trial_store import Record
from tuner.study.plan import as_flags
from tuner.study.study_run import StudyFailed, StudyRun, steps_of


def test(run: StudyRun, winner: Record) -> StudyResult:
    """Trains both on fresh seeds; returns the results of the study.

    Raises:
        StudyFailed: the winner's run failed.
        Interrupted: the user asked for an end.
    """
    plan, agents = run.plan, run.plan.test_seeds
    seed = run.study.claim(f"testing trial {winner.number} with {agents} seeds")
    run.display.line(f"test: trial {winner.number} and the defaults, on {agents} unused seeds")
    folder, tuned = plan.job_dir / f"test-{seed}", plan.flags(winner.values)
    runs = {"winner": (winner.number, tuned), "defaults": (1, {})}
    tasks = [
        plan.task(who, number, folder / who, (seed, agents), flags)
        for who, (number, flags) in runs.items()
    ]
    found = run.run_all(tasks, agents)
    if "winner" not in found:
        raise StudyFailed(
            f"Trial {winner.number} did not succeed in the test. Its log is"
            f" {folder / 'winner' / LOG}; the same command tries again."
        )
    records, args = run.study.records, plan.spec.job.args
    values = [record.value for record in run.ranked() if record.value is not None]
    steps = sum(steps_of(each.scores, each.measurements, plan.seeds) for each in records)
    return StudyResult(
        metric=plan.spec.metric,
        goal=plan.spec.goal,
        objective=plan.objective,
        winner=winner,
        flags=as_flags(tuned),
        args=args,
        claimed=values[0],
        tested=found,
        seeds=run.study.seeds,
        environment_steps=steps + run.steps,
        cpu_seconds=run.study.cpu_seconds,
        confirmed=run.confirmed,
        recipe=recipe.record(folder / "winner", (seed, agents), args, as_flags(tuned)),
        first_solved=selection.first_solved(records, run.confirmed),
    )
