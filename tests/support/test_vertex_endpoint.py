"""The stand-in refuses what the services would refuse; else the tests that use it prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.support.vertex_endpoint import Endpoint, Request
from tests.support.vertex_schema import find_sdk

JOB: dict[str, Any] = {
    "jobId": "job",
    "labels": {"any": "thing"},
    "trainingInput": {
        "scaleTier": "BASIC",
        "args": ["--seeds=2"],
        "hyperparameters": {
            "goal": "MAXIMIZE",
            "maxTrials": 4,
            "enableTrialEarlyStopping": True,
            "params": [
                {"parameterName": "gamma", "type": "DOUBLE", "minValue": 0.9, "maxValue": 0.999}
            ],
        },
    },
}
TUNING: dict[str, Any] = {
    "displayName": "job",
    "maxTrialCount": 4,
    "studySpec": {
        "metrics": [{"metricId": "mean_score", "goal": "MAXIMIZE"}],
        "medianAutomatedStoppingSpec": {},
        "parameters": [
            {"parameterId": "batch_size", "integerValueSpec": {"minValue": "16", "maxValue": "64"}}
        ],
    },
}


def spec(job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = job["trainingInput"]["hyperparameters"]
    return found


def study(job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = job["studySpec"]
    return found


@pytest.fixture(scope="module")
def answer() -> Any:
    sdk = find_sdk()
    if sdk is None:
        pytest.skip("needs gcloud, whose message classes say what a job may hold")
    endpoint = Endpoint(sdk)
    yield lambda path, body: endpoint.answer(Request("POST", path, body))
    endpoint.close()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda job: spec(job).update(maxTrialz=4), 'Unknown name "maxTrialz"'),
        (lambda job: spec(job).update(goal="MAXIMISE"), "'MAXIMISE' is none of"),
        (lambda job: spec(job).update(maxTrials=4.5), "job.trainingInput.hyperparameters.maxTri"),
        (lambda job: spec(job).update(enableTrialEarlyStopping="yes"), "BooleanField"),
        (lambda job: spec(job).update(params={}), "must be a list"),
        (lambda job: spec(job)["params"][0].update(minValue=True), "params[0].minValue"),
        (lambda job: spec(job)["params"][0].update(minValue=2), "above maxValue"),
    ],
)
def test_an_ai_platform_job_with_a_fault_is_refused(
    answer: Any, spoil: Callable[[Any], None], complaint: str
) -> None:
    job = deepcopy(JOB)
    assert answer("/v1/projects/test/jobs?alt=json", job)[0] == 200
    spoil(job)
    status, content = answer("/v1/projects/test/jobs?alt=json", job)
    assert status == 400
    assert complaint in content["error"]["message"]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda job: job.update(maxTrials=4), 'Unknown name "maxTrials"'),
        (lambda job: study(job).update(algorithm="BEST"), "'BEST' is none of"),
        (lambda job: study(job)["parameters"][0].update(minValue=1), 'Unknown name "minValue"'),
        (
            lambda job: study(job)["parameters"][0]["integerValueSpec"].update(maxValue="8"),
            "above maxValue",
        ),
    ],
)
def test_a_vertex_job_with_a_fault_is_refused(
    answer: Any, spoil: Callable[[Any], None], complaint: str
) -> None:
    path = "/v1/projects/test/locations/us-central1/hyperparameterTuningJobs?alt=json"
    job = deepcopy(TUNING)
    assert answer(path, job)[0] == 200
    spoil(job)
    status, content = answer(path, job)
    assert status == 400
    assert complaint in content["error"]["message"]
