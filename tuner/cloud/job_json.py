"""Converts a study's trials to the JSON format of the tuning services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tuner.execution import metric_file
from tuner.execution.trial import STOPPED, SUCCEEDED
from tuner.search.trial_store import Record
from tuner.spec.study_spec import MAXIMIZE, StudySpec

STUDY = "study.json"


def study_json(
    spec: StudySpec, records: Sequence[Record], name: str, job_dir: str, state: str
) -> dict[str, Any]:
    """The trials in the JSON format of the service whose dialect the file uses."""
    make = _vertex if spec.vertex else _ai_platform
    return make(spec, records, name, job_dir, state)


def _ai_platform(
    spec: StudySpec, records: Sequence[Record], name: str, job_dir: str, state: str
) -> dict[str, Any]:
    trials = []
    for record in records:
        final = metric_file.counted(record.measurements, spec.measurement, spec.goal)
        trial: dict[str, Any] = {
            "trialId": str(record.number),
            "hyperparameters": {name: str(value) for name, value in record.values.items()},
            "state": "SUCCEEDED"
            if record.state == STOPPED
            else _state(record, "FAILED", "RUNNING" if state == "RUNNING" else "QUEUED"),
            **_times(record),
            "allMetrics": [
                {"trainingStep": str(step), "objectiveValue": value}
                for step, value in record.measurements
            ],
        }
        if record.state == STOPPED:
            trial["isTrialStoppedEarly"] = True
        elif record.reason:
            trial["infeasibleReason"] = record.reason  # Vertex' word; this service has none
        if final is not None and record.state in (SUCCEEDED, STOPPED):
            trial["finalMetric"] = {
                "trainingStep": str(final.step),
                "objectiveValue": final.value,
            }
        trials.append(trial)
    return {
        "jobId": name,
        "state": state,
        "trainingInput": {
            "jobDir": job_dir,
            "hyperparameters": {
                "goal": spec.goal or MAXIMIZE,
                "hyperparameterMetricTag": spec.metric,
                "maxTrials": spec.max_trials,
            },
        },
        "trainingOutput": {
            "isHyperparameterTuningJob": True,
            "hyperparameterMetricTag": spec.metric,
            "completedTrialCount": str(sum(record.over for record in records)),
            "trials": trials,
        },
    }


def _vertex(
    spec: StudySpec, records: Sequence[Record], name: str, job_dir: str, state: str
) -> dict[str, Any]:
    trials = []
    for record in records:
        final = metric_file.counted(record.measurements, spec.measurement, spec.goal)
        trial: dict[str, Any] = {
            "id": str(record.number),
            "state": "SUCCEEDED"
            if record.state == STOPPED
            else _state(record, "INFEASIBLE", "ACTIVE" if state == "RUNNING" else "REQUESTED"),
            "parameters": [
                {"parameterId": name, "value": value} for name, value in record.values.items()
            ],
            **_times(record),
            "measurements": [_measurement(spec, step, v) for step, v in record.measurements],
        }
        if final is not None and record.state in (SUCCEEDED, STOPPED):
            trial["finalMeasurement"] = _measurement(spec, final.step, final.value)
        elif record.over:
            trial["infeasibleReason"] = record.reason
        trials.append(trial)
    return {
        "name": name,
        "state": f"JOB_STATE_{state}",
        "maxTrialCount": spec.max_trials,
        "studySpec": {"metrics": [{"metricId": spec.metric, "goal": spec.goal or MAXIMIZE}]},
        "trialJobSpec": {"baseOutputDirectory": {"outputUriPrefix": job_dir}},
        "trials": trials,
    }


def _state(record: Record, failed: str, unfinished: str) -> str:
    """A trial's state in the service's terms; `unfinished` is that of a trial without an end."""
    if not record.over:
        return unfinished
    return "SUCCEEDED" if record.state == SUCCEEDED else failed


def _times(record: Record) -> dict[str, str]:
    times = (("startTime", record.started), ("endTime", record.ended))
    return {
        name: moment.isoformat().replace("+00:00", "Z")
        for name, moment in times
        if moment is not None
    }


def _measurement(spec: StudySpec, step: int, value: float) -> dict[str, Any]:
    return {"stepCount": str(step), "metrics": [{"metricId": spec.metric, "value": value}]}
