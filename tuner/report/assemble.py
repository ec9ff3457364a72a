"""Makes a Report of the files of a job dir: a run, a service's trials, or a study."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.contract.run_record import number
from tuner.cloud.job_json import STUDY as STUDY_JSON
from tuner.outputs.results import BEST
from tuner.report import fresh_runs, journal, runs
from tuner.report.model import DAMAGED, JOB, RUN, STUDY, SUCCEEDED, UNFINISHED, Report, Run, Trial
from tuner.search.objective import direction
from tuner.search.trial_record import RUNNING, Record
from tuner.search.trial_store import FILE
from tuner.spec.study_spec import (
    CATEGORICAL,
    DOUBLE,
    IQM,
    LOG,
    MAXIMIZE,
    MEAN,
    MINIMIZE,
    Parameter,
)

_NOT_SEARCHED = {"seed", "seeds", "metric_tag", "job_dir"}
_SAME_COMMAND = "The same command continues it."


def of_run(run: Run, name: str, where: str) -> Report:
    """A single run, as a search of one trial."""
    progress = " ".join(run.problems)
    if run.state == UNFINISHED:
        progress += f" {_SAME_COMMAND}"
    trial = _of_folder("1", run, _given(run), IQM)
    return Report(RUN, name, where, [trial], _metric([run]), objective=IQM, progress=progress)


def of_job(found: Mapping[str, Run], name: str, where: str) -> Report:
    """The trials of a service, by folder; ranked by the mean, as the service ranks them."""
    trials = _of_folders(found, MEAN)
    unfinished = sum(trial.state == UNFINISHED for trial in trials)
    progress = (
        f"{unfinished} of {len(trials)} trials have no final score: they are still running, were"
        " stopped early, or were interrupted."
    )
    return Report(
        JOB,
        name,
        where,
        _ranked(trials, MEAN, MAXIMIZE),
        _metric(list(found.values())),
        progress=progress if unfinished else "",
        space=_inferred(trials),
    )


def of_study(
    small: Mapping[str, bytes],
    found: Mapping[str, Run],
    steps: Mapping[str, Run],
    name: str,
    where: str,
) -> Report:
    """A study of `python -m tuner run`.

    Args:
        small: study.journal, study.json and best.json, those there are.
        found: trials, by folder.
        steps: runs of confirm and test, by folder.
    """
    best, summary = (runs.json_object(small.get(file, b"")) for file in (BEST, STUDY_JSON))
    problems = [
        f"{file} is damaged."
        for file, content in ((BEST, best), (STUDY_JSON, summary))
        if file in small and not content
    ]
    kept = journal.read(small[FILE]) if FILE in small else None
    if kept is None:
        damage = "is damaged or of an earlier version" if FILE in small else "could not be read"
        problems.append(f"{FILE} {damage}. This page was made from the trials' own folders.")
    identity = kept.identity if kept else best
    aim, goal = str(identity.get("objective") or MEAN), str(identity.get("goal") or MAXIMIZE)
    records = {str(record.number): record for record in kept.records} if kept else {}
    trials = [
        _of_record(record, found.get(name, Run(name)), aim, goal)
        for name, record in records.items()
    ]
    trials += _of_folders({f: run for f, run in found.items() if f not in records}, aim, goal)
    args = best.get("args")
    report = Report(
        STUDY,
        name,
        where,
        _ranked(trials, aim, goal),
        metric=str(identity.get("metric") or _metric(list(found.values()))),
        goal=goal,
        objective=aim,
        progress=_progress(best, str(summary.get("state", "")), trials, steps),
        space=kept.space if kept else _inferred(trials),
        space_recorded=kept is not None,
        args=list(
            map(str, args if isinstance(args, list) else str(identity.get("args", "")).split())
        ),
        seeds=fresh_runs.seeds(kept.seeds if kept else best.get("seeds")),
        best=best,
        cpu_seconds=number(kept.cpu_seconds if kept else best.get("cpu_seconds")),
        problems=problems,
    )
    return fresh_runs.added(report, steps)


def _of_record(record: Record, run: Run, aim: str, goal: str) -> Trial:
    scores = runs.clean(record.scores)
    scores = scores if scores.scores else run.scores if run.scores.scores else scores
    succeeded = record.state == SUCCEEDED
    reason = str(record.reason)
    if run.state == DAMAGED or (succeeded and run.state != SUCCEEDED):
        reason += f" Its folder: {' '.join(run.problems) or 'it is missing.'}"
    return Trial(
        str(record.number),
        record.values,
        str(record.state),
        reason.strip(),
        dataclasses.replace(run, scores=scores),
        estimate=runs.estimate(scores, aim, goal) if succeeded else None,
        seconds=number(record.seconds) if record.over else None,
        started=record.started,
        ended=record.ended,
        reports=[report for report in record.measurements if number(report.value) is not None],
    )


def _of_folders(found: Mapping[str, Run], aim: str, goal: str = MAXIMIZE) -> list[Trial]:
    """Trials read from their folders alone. Flags that differ between them were searched."""
    given = [_given(run) for run in found.values() if run.settings]
    names = dict.fromkeys(name for flags in given for name in flags)
    searched = [name for name in names if len({str(flags.get(name)) for flags in given}) > 1]
    return [
        _of_folder(
            folder, run, {n: run.settings[n] for n in searched if n in run.settings}, aim, goal
        )
        for folder, run in found.items()
    ]


def _of_folder(
    name: str, run: Run, parameters: Mapping[str, Any], aim: str, goal: str = MAXIMIZE
) -> Trial:
    found = runs.estimate(run.scores, aim, goal)
    return Trial(name, parameters, run.state, " ".join(run.problems), run, found, run.wall_seconds)


def _progress(
    best: Mapping[str, Any], state: str, trials: Sequence[Trial], steps: Mapping[str, Run]
) -> str:
    running = sum(trial.state == RUNNING for trial in trials)
    ended = f"{len(trials) - running} of {len(trials)} trials have ended"
    if state.endswith("FAILED"):
        return f"The study failed: {ended}. {_SAME_COMMAND}"
    if running or state.endswith("RUNNING"):
        return f"The study is running, or was interrupted: {ended}. {_SAME_COMMAND}"
    if not best:
        stage = "test" if any(folder.startswith("test-") for folder in steps) else "confirm"
        return f"The search is complete. The {stage} stage is running, or was interrupted."
    return ""


def _ranked(trials: Sequence[Trial], aim: str, goal: str) -> list[Trial]:
    """Best first. Trials without a score follow by their last report."""
    toward, by_report = (1 if g == MINIMIZE else -1 for g in (direction(aim, goal), goal))

    def rank(trial: Trial) -> tuple[float, ...]:
        if trial.estimate:
            return (
                0,
                toward * trial.estimate.value,
                by_report * (trial.run.scores.sampled_mean or 0.0),
            )
        return 1, by_report * trial.reports[-1].value if trial.reports else math.inf, 0

    return sorted(trials, key=rank)


def _given(run: Run) -> dict[str, Any]:
    """The flags of its command that may have been searched."""
    return {
        name: value
        for name, value in run.settings.items()
        if run.sources.get(name) == "flag" and name not in _NOT_SEARCHED
    }


def _inferred(trials: Sequence[Trial]) -> dict[str, Parameter]:
    """A search space that holds these trials."""
    found = {}
    for name in dict.fromkeys(name for trial in trials for name in trial.parameters):
        values = [trial.parameters[name] for trial in trials if name in trial.parameters]
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            low, high = min(values), max(values)
            scale = LOG if low > 0 and high / low >= 10 else ""
            found[name] = Parameter(name, DOUBLE, low, high, scale=scale)
        else:
            words = tuple(dict.fromkeys(map(str, values)))
            found[name] = Parameter(name, CATEGORICAL, words=words)
    return found


def _metric(found: Sequence[Run]) -> str:
    tags = [str(run.settings["metric_tag"]) for run in found if "metric_tag" in run.settings]
    return tags[0] if tags else "mean_score"
