"""The other way to the service: a package that gcloud makes, and gcloud's own local runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import trainer
from tests.support.container_engine import ROOT, TINY_RUN, shell
from tests.support.vertex_endpoint import Endpoint
from tests.support.vertex_schema import find_sdk
from trainer.contract.job_files import ARTEFACTS

pytestmark = pytest.mark.container

TIMEOUT = 180  # seconds


class Package(NamedTuple):
    """What gcloud uploaded, and the job that it posted."""

    file: Path
    uri: str
    job: dict[str, object]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The source distribution that the real gcloud makes of this checkout for a job."""
    sdk = find_sdk()
    if sdk is None:
        pytest.skip("needs gcloud: https://cloud.google.com/sdk/docs/install")
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"  # a copy, for building leaves things behind
    for name in ("trainer", "tuner", "requirements"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, source)
    endpoint = Endpoint(sdk)
    submitted = subprocess.run(
        [
            *("gcloud", "ai-platform", "jobs", "submit", "training", "job_1"),
            *("--package-path", "trainer", "--module-name", "trainer.task"),
            *("--region", "us-central1", "--runtime-version", "2.11", "--python-version", "3.7"),
            *("--staging-bucket", "gs://my-bucket", "--job-dir", "gs://my-bucket/job_1"),
            *("--", "--seeds=4"),
        ],
        cwd=source,
        env={
            **os.environ,
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "CLOUDSDK_CORE_PROJECT": "test",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_ML": endpoint.url,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{endpoint.url}storage/v1/",
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    endpoint.close()
    assert submitted.returncode == 0, submitted.stderr
    ((uri, content),) = endpoint.uploaded.items()
    (folder / Path(uri).name).write_bytes(content)
    return Package(folder / Path(uri).name, uri, endpoint.posted[0])


def test_gcloud_makes_a_package_and_posts_a_job_that_names_it(package: Package) -> None:
    assert package.file.name == f"a2c_cloud_trainer-{trainer.__version__}.tar.gz"
    assert package.job["trainingInput"] == {
        "packageUris": [package.uri],
        "pythonModule": "trainer.task",
        "args": ["--seeds=4"],
        "region": "us-central1",
        "jobDir": "gs://my-bucket/job_1",
        "runtimeVersion": "2.11",
        "pythonVersion": "3.7",
        "enableWebAccess": False,
    }


def test_the_package_installs_where_its_requirements_are_and_trains(package: Package) -> None:
    """No index: were a requirement of setup.py not among the image's pins, this would fail."""
    said = shell(
        "set -e; unset PYTHONPATH; cd /tmp; export PIP_ROOT_USER_ACTION=ignore;"
        f" pip install -q --no-index --no-build-isolation /package/{package.file.name};"
        " python -c 'import trainer; print(trainer.__file__)';"
        " python -m trainer.task --help | head -1;"
        f" python -m trainer.task {' '.join(TINY_RUN)} --job-dir job; ls job",
        ("--network", "none", "--volume", f"{package.file.parent}:/package:ro"),
    )
    assert "site-packages/trainer" in said
    assert set(said.split()) >= set(ARTEFACTS)


def test_gcloud_runs_the_trainer_locally(tmp_path: Path) -> None:
    if find_sdk() is None:
        pytest.skip("needs gcloud: https://cloud.google.com/sdk/docs/install")
    ended = subprocess.run(
        [
            *("gcloud", "ai-platform", "local", "train", "--module-name", "trainer.task"),
            *("--package-path", str(ROOT / "trainer"), "--job-dir", str(tmp_path / "job")),
            *("--", *TINY_RUN),
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
            "CLOUDSDK_ML_ENGINE_LOCAL_PYTHON": sys.executable,
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "job" / "manifest.json").read_text())["state"] == "succeeded"
