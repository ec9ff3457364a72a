"""Jobs of both services become a list of trials, best first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tuner.cloud import jobs
from tuner.cloud.jobs import JobError, ai_platform_job, best_job_dir, describe, table, vertex_job


def vertex_answer(*trials: dict[str, Any], goal: str = "MAXIMIZE") -> dict[str, Any]:
    return {
        "name": "projects/1/locations/europe-west4/hyperparameterTuningJobs/7",
        "state": "JOB_STATE_RUNNING",
        "studySpec": {"metrics": [{"metricId": "mean_score", "goal": goal}]},
        "trialJobSpec": {"baseOutputDirectory": {"outputUriPrefix": "gs://bucket/study/"}},
        "trials": list(trials),
    }


def vertex_trial(number: int, score: float | str | None) -> dict[str, Any]:
    trial: dict[str, Any] = {
        "id": str(number),
        "state": "SUCCEEDED",
        "parameters": [
            {"parameterId": "gamma", "value": 0.99},
            {"parameterId": "batch_size", "value": 128.0},
        ],
    }
    if score is not None:
        metrics = [{"metricId": "mean_score", "value": score}]
        trial["finalMeasurement"] = {"stepCount": "20224", "metrics": metrics}
    return trial


AI_PLATFORM = {
    "jobId": "cartpole_1",
    "state": "SUCCEEDED",
    "trainingInput": {
        "hyperparameters": {"goal": "MAXIMIZE", "hyperparameterMetricTag": "mean_score"},
        "jobDir": "gs://bucket/cartpole_1",
    },
    "trainingOutput": {
        "trials": [
            {
                "trialId": "2",
                "hyperparameters": {"gamma": "0.95", "batch_size": "64"},
                "finalMetric": {"trainingStep": "2000", "objectiveValue": 41.5},
                "state": "SUCCEEDED",
                "isTrialStoppedEarly": True,
            },
            {
                "trialId": "1",
                "hyperparameters": {"gamma": "0.99"},
                "finalMetric": {"trainingStep": "20000", "objectiveValue": 500},
                "state": "SUCCEEDED",
            },
            {"trialId": "3", "hyperparameters": {"gamma": "0.9"}, "state": "FAILED"},
        ]
    },
}


def test_trials_of_vertex_come_best_first_and_those_without_a_score_last() -> None:
    job = vertex_job(
        vertex_answer(vertex_trial(1, 20.0), vertex_trial(2, None), vertex_trial(3, 480.5))
    )
    assert [(trial.id, trial.score) for trial in job.ranked] == [
        ("3", 480.5),
        ("1", 20),
        ("2", None),
    ]


def test_the_best_is_the_lowest_where_the_job_minimises() -> None:
    answer = vertex_answer(vertex_trial(1, 20.0), vertex_trial(3, 480.5), goal="MINIMIZE")
    assert [trial.id for trial in vertex_job(answer).ranked] == ["1", "3"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", float("nan")])
def test_a_score_that_is_not_a_finite_number_is_missing(value: float | str) -> None:
    assert vertex_job(vertex_answer(vertex_trial(1, value))).trials[0].score is None


def test_a_trials_folder_is_named_after_its_number() -> None:
    job = vertex_job(vertex_answer(vertex_trial(1, 20.0), vertex_trial(3, 480.5)))
    assert best_job_dir(job) == "gs://bucket/study/3"
    assert best_job_dir(ai_platform_job(AI_PLATFORM)) == "gs://bucket/cartpole_1/1"


def test_a_job_without_scores_has_no_best_trial() -> None:
    with pytest.raises(JobError, match="no trial with a score yet"):
        best_job_dir(vertex_job(vertex_answer(vertex_trial(1, None))))


def test_a_job_without_a_job_dir_has_nothing_to_fetch() -> None:
    answer = vertex_answer(vertex_trial(1, 1.0)) | {"trialJobSpec": {}}
    with pytest.raises(JobError, match="job dir"):
        best_job_dir(vertex_job(answer))


def test_the_table_has_a_line_for_each_trial() -> None:
    assert table(ai_platform_job(AI_PLATFORM)).splitlines() == [
        "cartpole_1: SUCCEEDED",
        "trial  state                      mean_score  step   batch_size  gamma",
        "1      SUCCEEDED                  500         20000              0.99",
        "2      SUCCEEDED (stopped early)  41.5        2000   64          0.95",
        "3      FAILED                                                    0.9",
    ]


def test_a_job_that_has_not_begun_has_no_trials() -> None:
    assert table(vertex_job(vertex_answer())).splitlines()[1:] == ["trial  state  mean_score  step"]


def test_vertex_needs_a_region() -> None:
    with pytest.raises(JobError, match="--region"):
        jobs.describe("123", region="", project="")


def test_without_gcloud_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(JobError, match="gcloud is not installed"):
        jobs.describe("cartpole_1", region="", project="")


def test_the_lines_below_gclouds_error_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its first line names the argument; the next ones name the cause."""
    said = """WARNING: an update is there
ERROR: (gcloud.ai.hp-tuning-jobs.describe) Error parsing [hptuning_job].
The [hptuning_job] resource is not properly specified.
Failed to find attribute [project]. The attribute can be set in the following ways:
- set the property `core/project`
"""
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}END\nexit 1\n")
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(JobError) as error:
        describe("123456", region="us-central1", project="")
    assert str(error.value) == (
        "gcloud could not describe job 123456. Its message: "
        + said.partition("ERROR: ")[2].rstrip()
    )
