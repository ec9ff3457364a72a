"""One job in a bucket of the test storage, run again and again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.cloud_runs import (
    QUICK,
    WHERE,
    Process,
    assert_as_listed,
    assert_recoverable,
    assert_same_end,
    environment,
    objects_in,
    run,
    task,
)
from tests.support.storage_server import FaultyStorage


class Bench(NamedTuple):
    """Runs one job in a bucket, again and again."""

    storage: FaultyStorage
    folder: Path

    def options(self, **variables: str) -> dict[str, Any]:
        return {"env": environment(self.storage, self.folder, **variables), "cwd": self.folder}

    def train(self, *flags: str, **variables: str) -> Process:
        return run(*task(WHERE, *(flags or QUICK)), **self.options(**variables))

    def sync(self, folder: Path) -> Process:
        return run("-m", "trainer.sync", str(folder), WHERE, **self.options())

    @property
    def leftovers(self) -> list[Path]:
        """What a process left among the temporary files."""
        return list((self.folder / "tmp").iterdir())


def assert_complete(bench: Bench, undisturbed: Mapping[str, bytes]) -> None:
    """The bucket holds the whole run, as if there had been no fault."""
    artefacts = objects_in(bench.storage)
    assert artefacts.keys() == undisturbed.keys()
    assert_same_end(artefacts, undisturbed)
    assert_as_listed(artefacts)
    assert bench.leftovers == []
    assert_recoverable(WHERE, bench.folder / "models")
