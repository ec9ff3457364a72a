"""What an uploader has delivered to the bucket."""

from __future__ import annotations

from tests.support.cloud_runs import objects_in
from tests.support.storage_server import FaultyStorage
from tests.support.waiting import wait_until
from trainer.storage.lease import OWNER


def files(storage: FaultyStorage) -> dict[str, bytes]:
    """What is in the bucket, but for the owner."""
    return {k: v for k, v in objects_in(storage).items() if k != OWNER}


def wait_for_file(storage: FaultyStorage, path: str, content: bytes) -> None:
    wait_until(lambda: files(storage).get(path) == content)
