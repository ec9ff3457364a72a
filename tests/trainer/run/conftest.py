"""A bucket of the test storage: runs on it, and uploads to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.bench import Bench
from tests.support.cloud_runs import QUICK, environment, files_in, remote_folders, run, task
from tests.support.storage_server import FaultyStorage
from trainer.run.upload import Uploader
from trainer.storage import gcs
from trainer.storage.gcs import RemoteFolder
from trainer.storage.job_dir import JobDir


@pytest.fixture
def storage() -> Iterator[FaultyStorage]:
    with FaultyStorage() as storage:
        yield storage


@pytest.fixture
def bench(storage: FaultyStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
    return Bench(storage, tmp_path)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """What the run comes to on a folder, without any fault."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = run(*task("job", *QUICK), env=environment(None, folder), cwd=folder)
    assert (process.returncode, process.stderr) == (0, "")
    return files_in(folder / "job")


@pytest.fixture
def open_folder(
    storage: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], RemoteFolder]]:
    monkeypatch.setattr(gcs, "TIMEOUT", (1.0, 0.5))
    monkeypatch.setattr(gcs, "READING", 1.0)
    with remote_folders(storage, monkeypatch) as open_folder:
        yield open_folder


@pytest.fixture
def job_dir(tmp_path: Path) -> JobDir:
    return JobDir(tmp_path / "job")


@pytest.fixture
def uploader(
    job_dir: JobDir, open_folder: Callable[[], RemoteFolder]
) -> Iterator[Callable[..., Uploader]]:
    """An uploader that looks all the time, unless told otherwise, and is closed in the end."""
    made = []

    def uploader(every: float = 0.0, start: bool = True, **options: Any) -> Uploader:
        made.append(Uploader(job_dir.path, open_folder(), every, **options))
        if start:
            made[-1].start()
        return made[-1]

    yield uploader
    for each in made:
        each.close()
        if each._thread is not None:
            each._thread.join(30)
