"""A study's results in the services' JSON format are read by the same code as theirs."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

from tuner.cloud import jobs
from tuner.cloud.job_json import study_json
from tuner.execution.metric_file import Measurement
from tuner.execution.trial import FAILED, INFEASIBLE, STOPPED, SUCCEEDED
from tuner.search.trial_store import RUNNING, Record
from tuner.spec.study_spec import BEST, MINIMIZE, StudySpec

SPEC = StudySpec("mean_score", (), max_trials=9)
REPORTS = [Measurement(10, 90.0), Measurement(20, 80.0)]
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
VALUES = {"learning_rate": 0.01, "hidden_neurons": 32}
RECORDS = [
    Record(1, VALUES, SUCCEEDED, measurements=REPORTS, started=NOON, ended=NOON),
    Record(2, VALUES, STOPPED, "lost", measurements=REPORTS[:1]),
    Record(3, VALUES, FAILED, "exit code 1", measurements=REPORTS),
    Record(4, VALUES, INFEASIBLE, "no metric"),
    Record(5, VALUES, RUNNING),
]


def test_ai_platforms_shape() -> None:
    found = json.loads(json.dumps(study_json(SPEC, RECORDS, "s", "runs/s", "RUNNING")))
    job = jobs.ai_platform_job(found)
    assert (job.name, job.state, job.metric, job.goal) == ("s", "RUNNING", "mean_score", "MAXIMIZE")
    assert [(t.id, t.state, t.score, t.step, t.job_dir) for t in job.trials] == [
        ("1", "SUCCEEDED", 80.0, 20, "runs/s/1"),
        ("2", "SUCCEEDED (stopped early)", 90.0, 10, "runs/s/2"),
        ("3", "FAILED", None, None, "runs/s/3"),
        ("4", "FAILED", None, None, "runs/s/4"),
        ("5", "RUNNING", None, None, "runs/s/5"),
    ]
    first = found["trainingOutput"]["trials"][0]
    assert first["hyperparameters"] == {"learning_rate": "0.01", "hidden_neurons": "32"}
    assert first["startTime"] == "2026-01-02T12:00:00Z"
    assert found["trainingOutput"]["completedTrialCount"] == "4"


def test_vertex_shape() -> None:
    spec = dataclasses.replace(SPEC, vertex=True, goal=MINIMIZE, measurement=BEST)
    found = json.loads(json.dumps(study_json(spec, RECORDS, "s", "runs/s", "SUCCEEDED")))
    job = jobs.vertex_job(found)
    assert (job.state, job.goal) == ("JOB_STATE_SUCCEEDED", "MINIMIZE")
    assert [(t.id, t.state, t.score, t.step) for t in job.trials] == [
        ("1", "SUCCEEDED", 80.0, 20),
        ("2", "SUCCEEDED", 90.0, 10),
        ("3", "INFEASIBLE", None, None),
        ("4", "INFEASIBLE", None, None),
        ("5", "REQUESTED", None, None),
    ]
    assert found["trials"][3]["infeasibleReason"] == "no metric"
    assert job.trials[0].parameters == VALUES
