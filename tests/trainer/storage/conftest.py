"""A folder in a bucket of the test storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.cloud_runs import remote_folders
from tests.support.storage_server import FaultyStorage
from trainer.storage import gcs as ours
from trainer.storage.gcs import RemoteFolder


@pytest.fixture
def storage() -> Iterator[FaultyStorage]:
    with FaultyStorage() as storage:
        yield storage


@pytest.fixture
def open_folder(
    storage: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], RemoteFolder]]:
    """Views of one folder; a test does not wait for more than a second."""
    monkeypatch.setattr(ours, "TIMEOUT", (1.0, 0.3))
    monkeypatch.setattr(ours, "READING", 1.0)
    with remote_folders(storage, monkeypatch) as open_folder:
        yield open_folder


@pytest.fixture
def folder(open_folder: Callable[[], RemoteFolder]) -> RemoteFolder:
    return open_folder()
