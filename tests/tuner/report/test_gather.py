"""The same report comes from a folder and from a bucket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.job_dirs import report_of, write_study
from tests.support.storage_server import FaultyStorage
from tuner.report.files import open_files
from tuner.report.gather import NothingThere, gather
from tuner.report.html import render


def test_a_bucket_and_a_folder_give_the_same_page(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyStorage() as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        for file in job.rglob("*"):
            if file.is_file() and file.parent.name != "5":
                storage.put(f"a/job/{file.relative_to(job).as_posix()}", file.read_bytes())
        (job / "5").rmdir()  # a bucket has no empty folders
        page = render(gather(open_files("gs://bucket/a/job")))
        with pytest.raises(NothingThere, match="holds no file of a run"):
            gather(open_files("gs://bucket/a/nothing"))
    assert page == render(report_of(job)).replace(str(job), "gs://bucket/a/job")


def test_the_journal_of_a_large_study_is_read(tmp_path: Path) -> None:
    write_study(tmp_path / "study", 4, films=0)
    line = json.dumps(
        {"op_code": 2, "worker_id": "w", "study_id": 0, "user_attr": {"x": "y" * 999}}
    )
    with (tmp_path / "study" / "study.journal").open("a") as journal:
        journal.writelines(f"{line}\n" for _ in range(9000))  # 9 MB
    report = report_of(tmp_path / "study")
    assert report.problems == [] and report.space_recorded and len(report.trials) == 4


def test_a_study_in_a_bucket_is_read_with_its_journal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    write_study(study, 6)
    with FaultyStorage() as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        for file in study.rglob("*"):
            if file.is_file():
                storage.put(f"a/study/{file.relative_to(study).as_posix()}", file.read_bytes())
        found = gather(open_files("gs://bucket/a/study"))
    here = report_of(study)
    assert len(found.trials) == len(here.trials) > 1
    assert found.confirmed.keys() == here.confirmed.keys()
    assert found.tested.keys() == here.tested.keys() and found.tested
    assert render(found).replace("gs://bucket/a/study", str(study)) == render(here)
