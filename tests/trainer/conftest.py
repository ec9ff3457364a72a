"""The finished run, as tests of the trainer's commands look at it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.task_runs import load
from trainer.contract import job_files


@pytest.fixture(scope="module")
def manifest(finished_run: Any) -> dict[str, Any]:
    return load(finished_run.job_dir / job_files.MANIFEST)


@pytest.fixture
def copy_of_the_run(finished_run: Any, tmp_path: Path) -> Path:
    """The finished run's folder, to be changed at will."""
    return Path(shutil.copytree(finished_run.job_dir, tmp_path / "copy"))
