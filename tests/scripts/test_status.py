"""`python -m tuner status` with the real gcloud and a stand-in for the services behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.vertex_endpoint import Endpoint
from tests.support.vertex_schema import find_sdk
from tests.tuner.cloud.test_jobs import AI_PLATFORM, vertex_answer, vertex_trial
from tuner.__main__ import main


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """An endpoint that a gcloud without an account asks for jobs."""
    sdk = find_sdk()
    if sdk is None:
        pytest.skip("needs gcloud")
    endpoint = Endpoint(sdk)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "test")
    monkeypatch.setenv("CLOUDSDK_CORE_DISABLE_PROMPTS", "1")
    monkeypatch.setenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true")
    for name in ("ML", "AIPLATFORM"):
        monkeypatch.setenv(f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name}", endpoint.url)
    yield endpoint
    endpoint.close()


def test_a_vertex_job_is_found_by_its_number(
    service: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    service.job = vertex_answer(vertex_trial(1, 20.0), vertex_trial(2, 480.5))
    assert main(["status", "7", "--region", "europe-west4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["2", "1"]
    asked = service.requests[0].path
    assert asked.startswith("/v1/projects/test/locations/europe-west4/hyperparameterTuningJobs/7")


def test_an_ai_platform_job_is_found_by_its_name(
    service: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    service.job = AI_PLATFORM
    assert main(["status", "cartpole_1", "--project", "other"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == list("123")
    assert service.requests[0].path.startswith("/v1/projects/other/jobs/cartpole_1")


def test_a_missing_job_is_reported_in_one_line(
    service: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    service.failures = [404]
    assert main(["status", "cartpole_1"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: gcloud could not describe job cartpole_1. Its message: ")


def test_a_job_without_trials_is_reported_in_one_line(
    service: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "cartpole_1"]) == 1
    assert "is not a tuning job" in capsys.readouterr().err
