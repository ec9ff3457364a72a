"""Tuning jobs in the cloud, as gcloud describes them, and their trials, best first."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from trainer.contract.errors import Error
from tuner.spec.study_spec import MINIMIZE

_LINES = 20  # of gcloud's output in an error message


class JobError(Error):
    """A job that cannot be described."""


class Trial(NamedTuple):
    """One trial as its service describes it."""

    id: str
    state: str
    score: float | None  # the one that the service counts
    step: int | None
    parameters: Mapping[str, Any]
    job_dir: str | None  # gs://...; None where the job has none


class TuningJob(NamedTuple):
    """A job and its trials."""

    name: str
    state: str
    metric: str
    goal: str
    trials: Sequence[Trial]

    @property
    def ranked(self) -> list[Trial]:
        """Best first, and those without a score last, in their order."""
        sign = 1 if self.goal == MINIMIZE else -1
        return sorted(self.trials, key=lambda t: math.inf if t.score is None else sign * t.score)


def describe(job: str, *, region: str, project: str) -> TuningJob:
    """Asks gcloud for a job: of Vertex AI if its name is a number or a path, else of AI Platform.

    Raises:
        JobError: gcloud is missing, or failed.
    """
    vertex = job.isdigit() or "hyperparameterTuningJobs/" in job
    if vertex:
        named = re.search(r"locations/([^/]+)/", job)
        region = region or (named[1] if named else "")
        if not region:
            raise JobError(f"The region of job {job} is unknown. Give --region.")
        words = ["ai", "hp-tuning-jobs", "describe", job, f"--region={region}"]
    else:
        words = ["ai-platform", "jobs", "describe", job]
    if project:
        words.append(f"--project={project}")
    try:
        done = subprocess.run(
            ["gcloud", *words, "--format=json", "--quiet"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise JobError("gcloud is not installed. Install it to ask for a job.") from error
    if done.returncode:
        raise JobError(f"gcloud could not describe job {job}. Its message: {_reason(done.stderr)}")
    try:
        answer = json.loads(done.stdout)
        return vertex_job(answer) if vertex else ai_platform_job(answer)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise JobError(f"Job {job} is not a tuning job.") from error


def _reason(text: str) -> str:
    """gcloud's output from its first error on: the lines below often name the cause."""
    printable = (line if line.isprintable() else ascii(line) for line in text.splitlines())
    lines = [line.rstrip() for line in printable if line.strip()]
    start = next((i for i, line in enumerate(lines) if line.startswith("ERROR")), 0)
    return "\n".join(lines[start : start + _LINES]).removeprefix("ERROR: ") or "nothing"


def best_job_dir(job: TuningJob) -> str:
    """The best trial's job dir. Raises JobError if there is none."""
    best = next((trial for trial in job.ranked if trial.score is not None), None)
    if best is None:
        raise JobError(f"Job {job.name} has no trial with a score yet.")
    if best.job_dir is None:
        raise JobError(f"Job {job.name} has no job dir to fetch from.")
    return best.job_dir


def vertex_job(answer: Mapping[str, Any]) -> TuningJob:
    """Reads a HyperparameterTuningJob of Vertex AI."""
    metric = answer["studySpec"]["metrics"][0]
    base = answer["trialJobSpec"].get("baseOutputDirectory", {}).get("outputUriPrefix")
    trials = []
    for trial in answer.get("trials", []):
        final = trial.get("finalMeasurement", {})
        values = {m["metricId"]: m["value"] for m in final.get("metrics", [])}
        parameters = {p["parameterId"]: p["value"] for p in trial.get("parameters", [])}
        trials.append(
            _trial(trial["id"], trial, values.get(metric["metricId"]), final.get("stepCount"),
                   parameters, base)
        )  # fmt: skip
    return TuningJob(
        answer["name"], answer["state"], metric["metricId"], metric.get("goal", ""), trials
    )


def ai_platform_job(answer: Mapping[str, Any]) -> TuningJob:
    """Reads a job of AI Platform Training."""
    wishes = answer["trainingInput"]["hyperparameters"]
    base = answer["trainingInput"].get("jobDir")
    trials = []
    for trial in answer.get("trainingOutput", {}).get("trials", []):
        final = trial.get("finalMetric", {})
        trials.append(
            _trial(trial["trialId"], trial, final.get("objectiveValue"), final.get("trainingStep"),
                   trial.get("hyperparameters", {}), base)
        )  # fmt: skip
    tag = wishes.get("hyperparameterMetricTag", "training/hptuning/metric")
    return TuningJob(answer["jobId"], answer["state"], tag, wishes.get("goal", ""), trials)


def _trial(
    id: Any, trial: Mapping[str, Any], score: Any, step: Any, parameters: Any, base: str | None
) -> Trial:
    number = None if score is None else float(score)
    if number is not None and not math.isfinite(number):
        number = None
    state = str(trial.get("state", "STATE_UNSPECIFIED"))
    if trial.get("isTrialStoppedEarly"):
        state += " (stopped early)"
    return Trial(
        str(id),
        state,
        number,
        None if step is None else int(step),
        dict(parameters),
        f"{base.rstrip('/')}/{id}" if base else None,
    )


def table(job: TuningJob) -> str:
    """The trials, best first, a line each."""
    names = sorted({name for trial in job.trials for name in trial.parameters})
    rows = [["trial", "state", job.metric, "step", *names]]
    for trial in job.ranked:
        score = "" if trial.score is None else f"{trial.score:.6g}"
        step = "" if trial.step is None else str(trial.step)
        values = [_shown(trial.parameters.get(name, "")) for name in names]
        rows.append([trial.id, trial.state, score, step, *values])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(x.ljust(w) for x, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in [f"{job.name}: {job.state}", *lines])


def _shown(value: Any) -> str:
    """A parameter's value, shortened; AI Platform writes numbers as strings."""
    try:
        return f"{float(value):.6g}"
    except (TypeError, ValueError):
        return str(value)
