"""A bucket, and machines whose studies are in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.bucket_studies import Machine
from tests.support.storage_server import FaultyStorage


@pytest.fixture
def storage() -> Iterator[FaultyStorage]:
    with FaultyStorage() as made:
        yield made


@pytest.fixture
def machine(tmp_path: Path, storage: FaultyStorage) -> Callable[[str], Machine]:
    return lambda name: Machine(tmp_path / name, storage, tmp_path)
