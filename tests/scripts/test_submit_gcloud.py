"""`scripts/submit_*.sh` with the real gcloud and a stand-in for the services behind it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.support.submissions import SCRIPTS, SETTINGS, SPACE, TIMEOUT, both_scripts, run
from tests.support.vertex_endpoint import Endpoint
from tests.support.vertex_schema import find_sdk

AI_PLATFORM_JOB = {
    "jobId": "job_1",
    "trainingInput": {
        "scaleTier": "BASIC",
        "args": ["--seeds=4"],
        "region": "us-central1",
        "jobDir": "gs://my-bucket/job_1",
        "masterConfig": {"imageUri": "us-docker.pkg.dev/test/rl/trainer:1"},
        "enableWebAccess": False,
        "hyperparameters": yaml.safe_load(SPACE)["trainingInput"]["hyperparameters"],
    },
}
VERTEX_JOB = {
    "displayName": "job_1",
    "maxTrialCount": 8,
    "parallelTrialCount": 2,
    "studySpec": {
        "metrics": [{"metricId": "mean_score", "goal": "MAXIMIZE"}],
        "measurementSelectionType": "LAST_MEASUREMENT",
        "medianAutomatedStoppingSpec": {"useElapsedDuration": False},
        "parameters": [
            {
                "parameterId": "learning_rate",
                "doubleValueSpec": {"minValue": 0.001, "maxValue": 0.1},
                "scaleType": "UNIT_LOG_SCALE",
            },
            {"parameterId": "batch_size", "discreteValueSpec": {"values": [128.0, 256.0]}},
        ],
    },
    "trialJobSpec": {
        "baseOutputDirectory": {"outputUriPrefix": "gs://my-bucket/job_1"},
        "workerPoolSpecs": [
            {
                "machineSpec": {"machineType": "n1-standard-4"},
                "replicaCount": "1",
                "containerSpec": {
                    "imageUri": "us-docker.pkg.dev/test/rl/trainer:1",
                    "args": ["--seeds=4"],
                },
            }
        ],
    },
}
JOBS = {"submit_ai_platform.sh": AI_PLATFORM_JOB, "submit_vertex.sh": VERTEX_JOB}


@pytest.fixture(scope="module")
def service() -> Iterator[Endpoint]:
    sdk = find_sdk()
    if sdk is None:
        pytest.skip("needs gcloud: https://cloud.google.com/sdk/docs/install")
    endpoint = Endpoint(sdk)
    yield endpoint
    endpoint.close()


@pytest.fixture
def cloud(service: Endpoint, tmp_path: Path) -> dict[str, str]:
    """Good settings, and a gcloud without an account that calls our endpoint."""
    service.requests.clear()
    service.failures.clear()
    return {
        **SETTINGS,
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_CORE_PROJECT": "test",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_ML": service.url,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": service.url,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING": service.url,
    }


@both_scripts
def test_the_posted_job_is_the_expected_one(
    tmp_path: Path, service: Endpoint, cloud: dict[str, str], script: str
) -> None:
    ended = run(script, cwd=tmp_path, **cloud)
    assert ended.code == 0, ended.errors
    assert service.posted == [JOBS[script]]


@both_scripts
def test_the_call_that_a_dry_run_prints_does_what_the_script_does(
    tmp_path: Path, service: Endpoint, cloud: dict[str, str], script: str
) -> None:
    ended = run(script, "--dry-run", cwd=tmp_path, **cloud)
    assert ended.code == 0, ended.errors
    assert service.requests == []
    call = shlex.split(ended.output.splitlines()[-1])
    subprocess.run(
        call, cwd=tmp_path, env={**os.environ, **cloud}, timeout=TIMEOUT, check=True,
        capture_output=True,
    )  # fmt: skip
    assert service.posted == [JOBS[script]]


def test_spot_asks_for_spot_machines(
    tmp_path: Path, service: Endpoint, cloud: dict[str, str]
) -> None:
    ended = run("submit_vertex.sh", "--spot", cwd=tmp_path, **cloud)
    assert ended.code == 0, ended.errors
    assert service.posted[0]["trialJobSpec"]["scheduling"] == {"strategy": "SPOT"}


@both_scripts
@pytest.mark.parametrize(
    "template",
    [path for path in sorted((ROOT / "templates").glob("*.yaml")) if path.stem != "rayjob"],
    ids=lambda path: path.name,
)
def test_gcloud_accepts_our_templates(
    tmp_path: Path, service: Endpoint, cloud: dict[str, str], script: str, template: Path
) -> None:
    ended = run(script, cwd=tmp_path, **{**cloud, "CONFIG": str(template)})
    assert ended.code == 0, ended.errors
    assert len(service.posted) == 1


@pytest.mark.parametrize(
    ("script", "status", "advice"),
    [
        ("submit_ai_platform.sh", 400, "in space.yaml"),
        ("submit_ai_platform.sh", 403, "ask the owner for the role"),
        ("submit_vertex.sh", 403, "ask the owner for the role"),
        ("submit_vertex.sh", 404, "check --project"),
        ("submit_ai_platform.sh", 409, "another name with --job-name"),
        ("submit_vertex.sh", 409, "another name with --job-name"),
        ("submit_ai_platform.sh", 429, "lower maxParallelTrials"),
        ("submit_vertex.sh", 429, "lower maxParallelTrials"),
    ],
)
def test_a_refusal_is_followed_by_what_to_do(
    tmp_path: Path, service: Endpoint, cloud: dict[str, str], script: str, status: int, advice: str
) -> None:
    service.failures.append(status)
    ended = run(script, cwd=tmp_path, **cloud)
    assert ended.code == 1
    last = ended.errors.splitlines()[-1]
    assert last.startswith(f"{script}: {status}: ")
    assert advice in last


def test_an_unavailable_service_is_asked_again_and_then_reported(
    tmp_path: Path, service: Endpoint, cloud: dict[str, str]
) -> None:
    service.failures.extend([503] * 20)
    ended = run("submit_vertex.sh", cwd=tmp_path, **cloud)
    assert ended.code == 1
    assert len(service.posted) > 1
    last = ended.errors.splitlines()[-1]
    assert "503" in last
    assert "gcloud ai hp-tuning-jobs list --region=us-central1" in last


def test_without_an_account_the_message_says_how_to_log_in(
    tmp_path: Path, service: Endpoint, cloud: dict[str, str]
) -> None:
    del cloud["CLOUDSDK_AUTH_DISABLE_CREDENTIALS"]
    ended = run("submit_vertex.sh", cwd=tmp_path, **cloud)
    assert ended.code == 1
    assert "gcloud auth login" in ended.errors.splitlines()[-1]
    assert service.posted == []


def test_stream_stays_until_the_job_has_ended(
    tmp_path: Path, service: Endpoint, cloud: dict[str, str]
) -> None:
    ended = run("submit_vertex.sh", "--stream", cwd=tmp_path, LOG_SECONDS="1", **cloud)
    assert ended.code == 0, ended.errors
    asked = [path for _, path, _ in service.requests]
    assert "/hyperparameterTuningJobs?" in asked[0]
    assert any("/hyperparameterTuningJobs/7?" in path for path in asked)
    assert any(path.startswith("/v2/entries:list") for path in asked)


@pytest.mark.parametrize(
    ("script", "module", "name"),
    [
        ("submit_ai_platform.sh", "ml_engine", "SUPPORTED_REGIONS"),
        ("submit_vertex.sh", "ai", "SUPPORTED_TRAINING_REGIONS"),
    ],
)
def test_the_regions_are_gcloud_s(script: str, module: str, name: str) -> None:
    sdk = find_sdk()
    if sdk is None:
        pytest.skip("needs gcloud: https://cloud.google.com/sdk/docs/install")
    source = sdk / "lib/googlecloudsdk/command_lib" / module / "constants.py"
    theirs = re.search(
        rf"^{name} = [(\[](.+?)[)\]]$", source.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    ours = re.search(
        r"^regions=\((.+?)\)$",
        (SCRIPTS / script).read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert theirs and ours
    # A newer gcloud may know more.
    assert set(ours[1].split()) <= set(re.findall(r"'(.+?)'", theirs[1]))
