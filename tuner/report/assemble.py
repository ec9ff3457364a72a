"""What was found in a job dir -> a Report: one run, the trials of a service, or a study here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.cloud.job_json import STUDY as STUDY_JSON
from tuner.outputs.results import BEST
from tuner.report import journal, runs, told
from tuner.report.journal import KeptTrial
from tuner.report.model import (
    JOB,
    RUN,
    STUDY,
    SUCCEEDED,
    UNFINISHED,
    Estimate,
    Point,
    Report,
    Run,
    Trial,
)
from tuner.search import objective
from tuner.search.objective import Scores, direction
from tuner.search.trial_store import FILE
from tuner.spec.study_spec import IQM, MAXIMIZE, MEAN, MINIMIZE

# Flags that say where and how long, never what is searched.
_NO_PARAMETERS = {"seed", "seeds", "metric_tag", "job_dir"}


def of_run(run: Run, name: str, where: str) -> Report:
    """A single run: a search of one trial."""
    progress = "" if run.state == SUCCEEDED else " ".join(run.problems)
    if run.state == UNFINISHED:
        progress += " The same command goes on with it."
    trial = Trial(
        "1",
        _given(run),
        run.state,
        " ".join(run.problems),
        run,
        runs.metric(run, MAXIMIZE),
        run.wall_seconds,
    )
    return Report(RUN, name, where, [trial], _tag([run]), objective=IQM, progress=progress)


def of_job(found: Mapping[str, Run], name: str, where: str) -> Report:
    """The trials of a service, by folder. It ranks by the mean, so the page does."""
    searched = _searched(list(found.values()))
    trials = [
        Trial(
            folder,
            {name: run.settings[name] for name in searched if name in run.settings},
            run.state,
            " ".join(run.problems),
            run,
            runs.estimate(run.scores, MEAN, MAXIMIZE, run.interval),
            run.wall_seconds,
        )
        for folder, run in found.items()
    ]
    open_ = [trial for trial in trials if trial.state == UNFINISHED]
    progress = (
        f"{len(open_)} of {len(trials)} trials have not ended: they run still, or were interrupted."
        if open_
        else ""
    )
    return Report(
        JOB,
        name,
        where,
        _ranked(trials, MAXIMIZE),
        _tag(list(found.values())),
        progress=progress,
        space=told.seen([trial.parameters for trial in trials]),
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
        steps: runs of confirming and testing, by folder.
    """
    best, study = (runs.json_object(small.get(file, b"")) for file in (BEST, STUDY_JSON))
    problems = [
        f"{file} cannot be read."
        for file, content in ((BEST, best), (STUDY_JSON, study))
        if file in small and not content
    ]
    kept = journal.read(small[FILE]) if FILE in small else None
    if FILE in small and kept is None:
        problems.append(f"{FILE} cannot be read; the page is made of the other files.")
    job = told.job(study)
    records = list(kept.trials) if kept else told.trials(job) if job else []
    identity = kept.identity if kept else {}
    aim = str(identity.get("objective") or best.get("objective") or MEAN)
    goal = str(identity.get("goal") or (job.goal if job else "") or MAXIMIZE)
    known = {record.name for record in records}
    searched = _searched(list(found.values()))
    trials = [
        _trial(record, found.get(record.name, Run(record.name)), aim, goal) for record in records
    ]
    trials += [
        _trial(KeptTrial(folder, _parameters(run, searched), run.state), run, aim, goal)
        for folder, run in found.items()
        if folder not in known
    ]
    seeds = dict(kept.seeds if kept else best.get("seeds") or {})
    report = Report(
        STUDY,
        name,
        where,
        _ranked(trials, direction(aim, goal)),
        str(identity.get("metric") or best.get("metric") or (job.metric if job else "")),
        goal,
        aim,
        _progress(best, job.state if job else "", trials, steps),
        journal.axes(identity) if kept else told.seen([trial.parameters for trial in trials]),
        [str(word) for word in best.get("args") or str(identity.get("args", "")).split()],
        seeds,
        best=best,
        cpu_seconds=kept.cpu_seconds if kept else best.get("cpu_seconds"),
        problems=problems,
    )
    return _with_steps(report, steps)


def _trial(record: KeptTrial, run: Run, aim: str, goal: str) -> Trial:
    scores = record.scores or Scores()
    scores = scores if scores.scores else run.scores if run.scores.scores else scores
    ended = record.state == SUCCEEDED
    reasons = [record.reason] if record.reason else []
    if run.state == "DAMAGED" or (ended and run.state != SUCCEEDED):
        reasons.append(f"Its folder: {' '.join(run.problems) or 'it is missing.'}")
    return Trial(
        record.name,
        record.parameters,
        record.state,
        " ".join(reasons),
        dataclasses.replace(run, scores=scores),
        runs.estimate(scores, aim, goal, run.interval) if ended else None,
        record.seconds if record.seconds is not None else run.wall_seconds,
        told=[Point(step, (value,)) for step, value in record.told],
    )


def _with_steps(report: Report, steps: Mapping[str, Run]) -> Report:
    """Adds confirming and testing: of several, those that best.json or the newest seeds name."""
    confirm = _latest(report.seeds, "confirming ")
    trial = str(report.best.get("trial", ""))
    test = _latest(report.seeds, f"testing trial {trial}".rstrip() + " ")

    def of(stage: str, seeds: Sequence[int]) -> dict[str, tuple[Run, Estimate]]:
        newest = max((_seed(f) for f in steps if f.startswith(f"{stage}-")), default=-1)
        starts = [f"{stage}-{seed}/" for seed in seeds or [newest]]
        found: dict[str, Run] = {}
        for start in starts:  # confirming is done in two parts, each with seeds of its own
            for folder, run in steps.items():
                if folder.startswith(start):
                    who = folder.removeprefix(start)
                    found[who] = _joined(found[who], run) if who in found else run
        known = {
            who: (run, runs.estimate(run.scores, report.objective, report.goal, run.interval))
            for who, run in found.items()
        }
        return {who: (run, told) for who, (run, told) in known.items() if told is not None}

    return dataclasses.replace(report, confirmed=of("confirm", confirm), tested=of("test", test))


def _latest(known: Mapping[str, int], purpose: str) -> list[int]:
    """The seeds of the last such purpose, and of its other parts: 5 and the other 5 of 10 seeds."""
    found = [(name, seed) for name, seed in known.items() if name.startswith(purpose)]
    whole = found[-1][0].rpartition(" of ")[2] if found else ""
    if purpose.startswith("testing"):
        return [seed for _, seed in found[-1:]]
    return [seed for name, seed in found if name.rpartition(" of ")[2] == whole]


def _joined(first: Run, second: Run) -> Run:
    return dataclasses.replace(
        first, scores=objective.joined(first.scores, second.scores), interval=None
    )


def _seed(folder: str) -> int:
    text = folder.split("/")[0].rpartition("-")[2]
    return int(text) if text.isascii() and text.isdigit() else -1


def _progress(
    best: Mapping[str, Any], state: str, trials: Sequence[Trial], steps: Mapping[str, Run]
) -> str:
    running = sum(trial.state == "RUNNING" for trial in trials)
    ended = f"{len(trials) - running} of its {len(trials)} trials so far have ended"
    goes_on = "The same command goes on with it."
    if state.endswith("FAILED"):
        return f"This study failed: {ended}. {goes_on}"
    if running or state.endswith("RUNNING"):
        return f"This study is in progress, or was interrupted: {ended}. {goes_on}"
    if not best:
        stage = "tested" if any(f.startswith("test-") for f in steps) else "confirmed"
        return f"Its search is over; its best trials are being {stage}, or were when it stopped."
    return ""


def _ranked(trials: Sequence[Trial], toward: str) -> list[Trial]:
    sign = 1 if toward == MINIMIZE else -1

    def rank(trial: Trial) -> tuple[float, float]:
        found = trial.estimate
        sampled = trial.run.scores.sampled_mean or 0.0
        return (sign * found.value if found else math.inf, sign * sampled)

    return sorted(trials, key=rank)


def _given(run: Run) -> dict[str, Any]:
    """What its command set, of what may be searched."""
    return {
        name: value
        for name, value in run.settings.items()
        if run.sources.get(name) == "flag" and name not in _NO_PARAMETERS
    }


def _searched(found: Sequence[Run]) -> list[str]:
    """The flags that differ between runs."""
    given = [_given(run) for run in found if run.settings]
    names = dict.fromkeys(name for flags in given for name in flags)
    return [name for name in names if len({str(flags.get(name)) for flags in given}) > 1]


def _parameters(run: Run, searched: Sequence[str]) -> dict[str, Any]:
    return {name: run.settings[name] for name in searched if name in run.settings}


def _tag(found: Sequence[Run]) -> str:
    tags = [str(run.settings["metric_tag"]) for run in found if "metric_tag" in run.settings]
    return tags[0] if tags else "mean_score"
