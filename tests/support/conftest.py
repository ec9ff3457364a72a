"""A bucket of the test storage, as the real client sees it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bucket_client import MIB
from tests.support.storage_server import FaultyStorage

with warnings.catch_warnings():  # for it misses a package that only gRPC needs
    warnings.simplefilter("ignore", ImportWarning)
    from google.cloud import storage as google_storage


@pytest.fixture
def storage() -> Iterator[FaultyStorage]:
    with FaultyStorage() as storage:
        yield storage


@pytest.fixture
def open_bucket(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[FaultyStorage], google_storage.Bucket]]:
    clients = []

    def open_bucket(storage: FaultyStorage) -> google_storage.Bucket:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        # Or a thread of the client asks for the bucket, whenever it gets round to it.
        monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        clients.append(google_storage.Client())
        return clients[-1].bucket(storage.bucket)

    yield open_bucket
    for client in clients:
        client.close()


@pytest.fixture
def bucket(storage: FaultyStorage, open_bucket: Callable[..., Any]) -> google_storage.Bucket:
    return open_bucket(storage)


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    """Of three parts, for the client sends up to 8 MiB at once."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(10 * MIB))
    return path
