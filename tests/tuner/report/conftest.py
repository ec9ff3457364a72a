"""Job dirs that several of these tests report on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.job_dirs import write_run, write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "study"
    write_study(folder, 12)
    return folder


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Trials of a service: two ended, one is unfinished, one is damaged, one has not started."""
    for trial, rate in ((1, 0.01), (2, 0.02)):
        write_run(tmp_path / "job" / str(trial), [100.0 * trial, 100.0 * trial + 10],
                  {"learning_rate": rate})  # fmt: skip
    write_run(tmp_path / "job" / "3", [1.0], {"learning_rate": 0.03}, finished=False)
    write_run(tmp_path / "job" / "4", [1.0], {"learning_rate": 0.04})
    (tmp_path / "job" / "4" / "manifest.json").write_bytes(b'{"scores": {"sco')
    (tmp_path / "job" / "5").mkdir()
    return tmp_path / "job"
