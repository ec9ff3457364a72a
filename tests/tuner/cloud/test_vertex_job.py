"""A study becomes a Vertex AI job as in the mapping table."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.vertex_jobs import IMAGE, JOB_DIR, STUDY, translated
from tuner.cloud.vertex_job import as_yaml


def test_a_study_with_every_field_becomes_a_complete_job() -> None:
    assert translated(display_name="a study") == {
        "displayName": "a study",
        "labels": {"team": "rl"},
        "maxTrialCount": 20,
        "parallelTrialCount": 5,
        "maxFailedTrialCount": 3,
        "studySpec": {
            "metrics": [{"metricId": "mean_score", "goal": "MAXIMIZE"}],
            "parameters": [
                {
                    "parameterId": "gamma",
                    "doubleValueSpec": {"minValue": 0.9, "maxValue": 0.999},
                    "scaleType": "UNIT_REVERSE_LOG_SCALE",
                },
                {"parameterId": "num_envs", "integerValueSpec": {"minValue": 1, "maxValue": 16}},
                {"parameterId": "batch_size", "discreteValueSpec": {"values": [64, 128]}},
                {
                    "parameterId": "learning_rate_decay",
                    "categoricalValueSpec": {"values": ["linear", "none"]},
                },
            ],
            "algorithm": "RANDOM_SEARCH",
            "measurementSelectionType": "LAST_MEASUREMENT",
            "medianAutomatedStoppingSpec": {"useElapsedDuration": False},
        },
        "trialJobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {
                        "machineType": "n1-highcpu-16",
                        "acceleratorType": "NVIDIA_TESLA_T4",
                        "acceleratorCount": 2,
                    },
                    "replicaCount": 1,
                    "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 50},
                    "containerSpec": {
                        "imageUri": IMAGE,
                        "args": ["--algorithm=a2c", "--hidden_neurons", "2048"],
                    },
                }
            ],
            "baseOutputDirectory": {"outputUriPrefix": JOB_DIR},
            "scheduling": {"timeout": "3600s", "restartJobOnWorkerRestart": True},
            "serviceAccount": "me@p.iam.gserviceaccount.com",
            "network": "projects/1/global/networks/n",
            "enableWebAccess": True,
        },
        "encryptionSpec": {"kmsKeyName": "key"},
    }


MINIMAL = """\
trainingInput:
  hyperparameters:
    hyperparameterMetricTag: mean_score
    params:
    - {parameterName: gamma, type: INTEGER, minValue: 0, maxValue: 1.0}
"""


def test_a_study_with_little_becomes_what_the_api_requires() -> None:
    assert translated(MINIMAL) == {
        "displayName": "a2c_1",
        "maxTrialCount": 1,
        "parallelTrialCount": 1,
        "studySpec": {
            "metrics": [{"metricId": "mean_score", "goal": "MAXIMIZE"}],
            "parameters": [
                {"parameterId": "gamma", "integerValueSpec": {"minValue": 0, "maxValue": 1}}
            ],
            "measurementSelectionType": "LAST_MEASUREMENT",
        },
        "trialJobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {"machineType": "n1-standard-4"},
                    "replicaCount": 1,
                    "containerSpec": {"imageUri": IMAGE},
                }
            ],
            "baseOutputDirectory": {"outputUriPrefix": JOB_DIR},
        },
    }


def test_bounds_have_the_types_of_the_api() -> None:
    (parameter,) = translated(MINIMAL)["studySpec"]["parameters"]
    assert [type(bound) for bound in parameter["integerValueSpec"].values()] == [int, int]
    (parameter,) = translated(MINIMAL.replace("INTEGER", "DOUBLE"))["studySpec"]["parameters"]
    assert [type(bound) for bound in parameter["doubleValueSpec"].values()] == [float, float]


def machine(tier: str) -> Any:
    text = MINIMAL.replace("trainingInput:", f"trainingInput:\n  {tier}")
    return translated(text)["trialJobSpec"]["workerPoolSpecs"][0]["machineSpec"]


@pytest.mark.parametrize(
    "tier, expected",
    [
        ("scaleTier: BASIC", "n1-standard-4"),
        ("scaleTier: CUSTOM\n  masterType: n2-highmem-2", "n2-highmem-2"),
        ("scaleTier: CUSTOM\n  masterType: standard", "n1-standard-4"),
        ("scaleTier: CUSTOM\n  masterType: large_model", "n1-highmem-8"),
        ("scaleTier: CUSTOM\n  masterType: complex_model_s", "n1-highcpu-8"),
        ("scaleTier: CUSTOM\n  masterType: complex_model_l", "n1-highcpu-32"),
    ],
)
def test_a_tier_becomes_a_machine_type(tier: str, expected: str) -> None:
    assert machine(tier) == {"machineType": expected}


def test_the_gpu_tier_becomes_a_machine_with_a_gpu() -> None:
    assert machine("scaleTier: BASIC_GPU") == {
        "machineType": "n1-standard-8",
        "acceleratorType": "NVIDIA_TESLA_T4",
        "acceleratorCount": 1,
    }


@pytest.mark.parametrize("text", [STUDY, STUDY.replace("3600s,", "3600s, strategy: ON_DEMAND,")])
def test_spot_machines_are_requested_by_the_option(text: str) -> None:
    assert translated(text, spot=True)["trialJobSpec"]["scheduling"]["strategy"] == "SPOT"
    assert "strategy" not in translated(text)["trialJobSpec"]["scheduling"]


def test_spot_machines_are_requested_by_the_file() -> None:
    text = STUDY.replace("3600s,", "3600s, strategy: LOW_COST,")
    assert translated(text)["trialJobSpec"]["scheduling"]["strategy"] == "SPOT"


def test_the_file_quotes_text_that_gcloud_would_take_for_something_else() -> None:
    assert as_yaml({"args": ["1e-4", "8", "yes", "n", "1.5e3", "x"], "number": 1e-5}) == (
        "args:\n- '1e-4'\n- '8'\n- 'yes'\n- 'n'\n- '1.5e3'\n- x\nnumber: 1.0e-05\n"
    )
