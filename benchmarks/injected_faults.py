"""Faults that hit a run in a bucket, and how often it must be restarted for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.cloud_runs import (
    QUICK,
    WHERE,
    Moment,
    Process,
    environment,
    is_upload,
    kept_folder,
    mortal_task,
    run,
    started,
    task,
)
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage
from tests.support.waiting import wait_until
from trainer.contract.job_files import CHECKPOINT, MANIFEST, METRICS, MODEL

SMALL = (*QUICK, "--sync_every", "0")
RESTARTS = 10  # of one run; more would mean that it makes no progress


class Place(NamedTuple):
    """A job dir in the bucket of a faulty service, and a local folder for the run."""

    storage: FaultyStorage
    folder: Path

    @property
    def options(self) -> dict[str, Any]:
        return {"env": environment(self.storage, self.folder), "cwd": self.folder}

    def train(self, *flags: str) -> Process:
        return run(*task(WHERE, *SMALL, *flags), **self.options)

    def end(self) -> int:
        """Starts the run until it succeeds, as a service does; returns the number of starts."""
        for starts in range(1, RESTARTS):
            if self.train().returncode == 0:
                return starts
        raise RuntimeError("the run never succeeded")


# Faults. Each runs until the run has succeeded, and returns how often it was restarted.


def killed(moment: Moment) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        process = run(*mortal_task(moment, WHERE, *SMALL), **place.options)
        assert process.returncode != 0, moment
        return place.end()

    return act


def killed_during_an_upload(place: Place) -> int:
    fault = place.storage.add(Fault(kind="insert", name=CHECKPOINT, delay=0.1))
    with started(*task(WHERE, *SMALL), **place.options) as process:
        place.storage.wait_for(lambda request: fault.matched > 0, 120)
        process.kill()
        process.wait()
    place.storage.clear()
    return place.end()


def failing(*faults: Fault) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        for fault in faults:
            place.storage.add(fault)
        starts = place.end()
        assert all(fault.matched > fault.skip for fault in faults), faults
        return starts - 1

    return act


def damaged_checkpoint(place: Place) -> int:
    run(*mortal_task(Moment("trainer.run.state", "write", 8), WHERE, *SMALL), **place.options)
    place.storage.add(Fault(name=CHECKPOINT, corrupt=True, times=1))
    return place.end()


def down(until: str) -> Callable[[Place], int]:
    """The service is down from the first checkpoint until a file exists."""

    def act(place: Place) -> int:
        if until == METRICS:
            place.storage.down()
        with started(*task(WHERE, *SMALL), **place.options) as process:
            if until != METRICS:
                place.storage.wait_for(is_upload(CHECKPOINT), 120)
                place.storage.down()
            wait_until(lambda: list((place.folder / "tmp").glob(f"trainer-*/{until}")), 120)
            place.storage.up()
            process.communicate(timeout=180)
        assert process.returncode == 0
        return 0

    return act


def down_at_the_end(place: Place) -> int:
    with started(*task(WHERE, *SMALL, "--upload_deadline", "1"), **place.options) as process:
        place.storage.wait_for(is_upload(CHECKPOINT), 120)
        place.storage.down()
        _, stderr = process.communicate(timeout=180)
        place.storage.up()
    kept = kept_folder(stderr.splitlines()[-1])
    finished = run("-m", "trainer.sync", str(kept), WHERE, **place.options)
    assert finished.returncode == 0, finished
    return 0


FAULTS: dict[str, Callable[[Place], int]] = {
    "SIGKILL before the first checkpoint": killed(Moment("trainer.run.state", "write")),
    "SIGKILL during a save": killed(Moment("os", "fsync", 4)),
    "SIGKILL during an upload": killed_during_an_upload,
    "SIGKILL during an evaluation": killed(
        Moment("trainer.run.state", "RunState.validate", 2, 0.01)
    ),
    "SIGKILL after the metric": killed(Moment("trainer.outputs.models", "save_models")),
    "SIGKILL before the manifest": killed(Moment("trainer.storage.job_dir", "JobDir.files")),
    "SIGTERM": killed(Moment("trainer.run.state", "write", 5, signal=15)),
    "401, once": failing(Fault(kind="insert", name=CHECKPOINT, times=1, status=401)),
    "429, twice": failing(Fault(kind="insert", name=CHECKPOINT, times=2, status=429)),
    "503, six times": failing(Fault(skip=8, times=6, status=503)),
    "connections reset": failing(Fault(kind="insert", skip=3, times=5, reset=True)),
    "answers lost": failing(
        *(
            Fault(kind="insert", name=name, times=1, lose_answer=True)
            for name in (CHECKPOINT, METRICS, MANIFEST)
        )
    ),
    "stall of a second": failing(Fault(kind="insert", name=CHECKPOINT, times=2, stall=1.0)),
    "damaged download of the checkpoint": damaged_checkpoint,
    "service down at the start": down(METRICS),
    "service down in the middle": down(MODEL),
    "service down during the last upload": down_at_the_end,
}
