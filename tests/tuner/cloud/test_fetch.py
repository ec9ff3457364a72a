"""Files are downloaded and verified, and written to the requested folder only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage
from tuner.__main__ import main
from tuner.cloud import fetch
from tuner.cloud.fetch import FetchError


@pytest.fixture(scope="module")
def service() -> Iterator[FaultyStorage]:
    with FaultyStorage() as storage:
        yield storage


@pytest.fixture
def storage(service: FaultyStorage, monkeypatch: pytest.MonkeyPatch) -> FaultyStorage:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", service.url)
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    service.clear()
    for name in service.objects():
        service.delete(name)
    return service


def put_trial(storage: FaultyStorage, path: str, score: float | None, **files: bytes) -> None:
    for name, content in files.items():
        storage.put(f"{path}/{name}", content)
    listed = [
        {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    ]
    manifest = {"scores": {"mean_score": score}, "files": listed}
    storage.put(f"{path}/manifest.json", json.dumps(manifest).encode())


def test_the_best_finished_trial_is_found(storage: FaultyStorage) -> None:
    put_trial(storage, "study/1", 20.0)
    put_trial(storage, "study/2", 480.0)
    put_trial(storage, "study/3", None)
    put_trial(storage, "study/4/deeper", 500.0)
    storage.put("study/5/metrics.jsonl", b"")
    assert fetch.best("gs://bucket/study/") == ("gs://bucket/study/2", 480.0)


def test_a_trials_own_folder_is_found_too(storage: FaultyStorage) -> None:
    put_trial(storage, "study/1", 20.0)
    assert fetch.best("gs://bucket/study/1").job_dir == "gs://bucket/study/1"


def test_without_a_finished_trial_there_is_a_sentence(storage: FaultyStorage) -> None:
    with pytest.raises(FetchError, match="has no finished trial"):
        fetch.best("gs://bucket/study")


def test_the_files_arrive_as_the_manifest_lists_them(
    storage: FaultyStorage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_trial(storage, "study/1", 20.0, **{"saved_model/a": b"a", "model.keras": b"m"})
    storage.put("study/1/owner.json", b"not listed")
    assert main(["fetch", "gs://bucket/study", "--output", str(tmp_path / "best")]) == 0
    found = {
        p.relative_to(tmp_path / "best").as_posix() for p in tmp_path.rglob("*") if p.is_file()
    }
    assert found == {"saved_model/a", "model.keras", "manifest.json"}
    assert "3 files of gs://bucket/study/1, mean_score 20" in capsys.readouterr().out


def test_a_file_that_is_not_as_listed_is_refused_and_leaves_nothing(
    storage: FaultyStorage, tmp_path: Path
) -> None:
    put_trial(storage, "study/1", 20.0, model=b"m")
    storage.put("study/1/model", b"another")
    with pytest.raises(FetchError, match="study/1/model is missing or differs from"):
        fetch.fetch("gs://bucket/study/1", tmp_path / "best")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(storage: FaultyStorage, tmp_path: Path) -> None:
    put_trial(storage, "study/1", 20.0)
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(FetchError, match="Name a new folder"):
        fetch.fetch("gs://bucket/study/1", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("status, word", [(403, "storage.objects.list"), (404, "does not exist")])
def test_a_refusal_of_the_service_is_one_sentence(
    storage: FaultyStorage, status: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    storage.add(Fault(kind="list", status=status))
    assert main(["fetch", "gs://bucket/study"]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and word in message


@pytest.mark.parametrize("address", ["gs://bucket", "gs://", "gs://b/x", "gs://bucket//"])
def test_an_address_that_is_none_is_refused(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", address]) == 2
    assert "A gs:// address must name a" in capsys.readouterr().err


def test_a_manifest_that_lists_files_outside_is_refused(
    storage: FaultyStorage, tmp_path: Path
) -> None:
    put_trial(storage, "study/1", 20.0, **{"../outside": b"x"})
    with pytest.raises(FetchError, match="which is outside the job dir"):
        fetch.fetch("gs://bucket/study/1", tmp_path / "best")
    assert list(tmp_path.iterdir()) == []
