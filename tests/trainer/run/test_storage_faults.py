"""Whole runs, as a user starts them, through every fault: what is said, and what is kept."""

from __future__ import annotations

import re
import resource
import shutil
import time
from collections.abc import Callable, Mapping

import pytest

from tests.support.bench import Bench, assert_complete
from tests.support.cloud_runs import (
    QUICK,
    UNCLOSED,
    WHERE,
    assert_as_listed,
    assert_recoverable,
    assert_same_end,
    ended,
    files_in,
    is_upload,
    kept_folder,
    manifest_of,
    objects_in,
    run,
    sentence,
    started,
    steps_of,
    task,
)
from tests.support.storage_faults import Fault
from tests.support.waiting import wait_until
from trainer.contract.job_files import CHECKPOINT, MANIFEST, METRICS, MODEL
from trainer.storage.lease import OWNER

pytestmark = [
    pytest.mark.faults,
    UNCLOSED,
    # Keras' variables do not know NumPy 2's `copy` keyword yet.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


# Faults that pass


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(kind="insert", name=CHECKPOINT, times=2, status=429)],
        [Fault(skip=8, times=6, status=503)],
        [Fault(kind="insert", skip=3, times=5, reset=True)],
        [
            Fault(kind="insert", name=name, times=1, lose_answer=True)
            for name in (CHECKPOINT, METRICS, MANIFEST, OWNER, "saved_model.pb")
        ],
    ],
    ids=["429", "503", "reset", "answer lost"],
)
def test_a_fault_that_passes_costs_nothing(
    faults: list[Fault], bench: Bench, undisturbed: Mapping[str, bytes]
) -> None:
    for fault in faults:
        bench.storage.add(fault)
    process = bench.train()
    assert process.returncode == 0, process
    assert all(fault.matched > fault.skip for fault in faults)
    assert "Traceback" not in process.stderr
    assert_complete(bench, undisturbed)


def test_a_run_whose_service_is_down_at_the_start_trains_and_uploads_later(
    bench: Bench, undisturbed: Mapping[str, bytes]
) -> None:
    bench.storage.down()
    with started(*task(WHERE, *QUICK), **bench.options()) as process:
        # Until training has begun.
        wait_until(lambda: list((bench.folder / "tmp").glob(f"trainer-*/{METRICS}")), 120)
        bench.storage.up()
        done = ended(process)
    assert done.returncode == 0, done
    assert "Training starts all the same" in done.stderr
    assert_complete(bench, undisturbed)


def test_a_run_whose_service_is_down_in_the_middle_trains_on(
    bench: Bench, undisturbed: Mapping[str, bytes]
) -> None:
    with started(*task(WHERE, *QUICK), **bench.options()) as process:
        bench.storage.wait_for(is_upload(CHECKPOINT), 120)
        bench.storage.down()
        wait_until(lambda: list((bench.folder / "tmp").glob(f"trainer-*/{MANIFEST}")), 120)
        time.sleep(1)  # for the last upload to be tried in vain
        bench.storage.up()
        done = ended(process)
    assert done.returncode == 0, done
    assert "The run continues" in done.stderr
    assert "work again" in done.stdout
    assert_complete(bench, undisturbed)


def test_a_damaged_download_of_the_checkpoint_is_read_again(
    bench: Bench, undisturbed: Mapping[str, bytes]
) -> None:
    with started(*task(WHERE, *QUICK), **bench.options()) as process:
        bench.storage.wait_for(lambda r: is_upload(CHECKPOINT)(r) and r.wrote, 120)
        process.kill()
    shutil.rmtree(bench.folder / "tmp")  # where the one that was killed could not clean up
    steps = steps_of(objects_in(bench.storage))
    fault = bench.storage.add(Fault(name=CHECKPOINT, corrupt=True, times=1))
    process = bench.train()
    assert process.returncode == 0, process
    assert fault.matched > 1
    assert f"at {steps:,} steps" in process.stdout
    assert_complete(bench, undisturbed)


# The last upload


def test_what_could_not_be_uploaded_is_named_and_kept_and_sync_finishes_the_job(
    bench: Bench, undisturbed: Mapping[str, bytes]
) -> None:
    bench.storage.add(Fault(kind="insert", name=f"{MODEL}|saved_model", status=503))
    with started(*task(WHERE, *QUICK, "--upload_deadline", "2"), **bench.options()) as process:
        # A round uploads its files side by side, so that the model's may come before any other.
        bench.storage.wait_for(lambda r: is_upload(CHECKPOINT)(r) and r.wrote, 120)
        bench.storage.wait_for(lambda r: r.name is not None and MODEL in r.name, 120)
        bench.storage.down()
        done = ended(process)
        bench.storage.up()
    assert done.returncode == 1
    line = sentence(done)
    assert f"could not be uploaded to {WHERE}" in line
    assert MODEL in line and MANIFEST in line and "within 2 s" in line
    assert "cannot be reached" in line
    kept = kept_folder(line)
    assert f"`python -m trainer.sync {kept} {WHERE}`" in line
    assert files_in(kept).keys() == undisturbed.keys()
    assert MANIFEST not in objects_in(bench.storage)
    assert_recoverable(WHERE, bench.folder / "earlier")
    assert_recoverable(kept, bench.folder / "kept")
    bench.storage.clear()
    for name in (MODEL, "saved_model"):  # of the test's own look at it
        assert (kept / name).exists()
    done = bench.sync(kept)
    assert done.returncode == 0, done
    assert objects_in(bench.storage) == files_in(kept)
    assert_same_end(objects_in(bench.storage), undisturbed)
    assert_as_listed(objects_in(bench.storage))


def test_a_service_that_hangs_longer_than_the_deadline_does_not_hold_up_the_end(
    bench: Bench,
) -> None:
    with started(*task(WHERE, *QUICK, "--upload_deadline", "2"), **bench.options()) as process:
        bench.storage.wait_for(lambda r: is_upload(CHECKPOINT)(r) and r.wrote, 120)
        bench.storage.add(Fault(stall=600))
        wait_until(lambda: list((bench.folder / "tmp").glob(f"trainer-*/{MANIFEST}")), 120)
        start = time.monotonic()
        done = ended(process)
    assert time.monotonic() - start < 15
    assert done.returncode == 1
    assert "within 2 s" in sentence(done)
    assert MANIFEST in files_in(kept_folder(sentence(done)))
    bench.storage.clear()
    assert_recoverable(WHERE, bench.folder / "models")


# The machine's own faults


def small_files_only(size: int) -> Callable[[], None]:
    """The disk is full for every file that grows past so many bytes."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize("where", ["job", WHERE])
def test_a_full_disk_ends_a_run_with_one_sentence_and_keeps_the_checkpoint(
    where: str, bench: Bench, undisturbed: Mapping[str, bytes]
) -> None:
    size = len(undisturbed[CHECKPOINT]) + 2_000  # the models do not fit
    assert size < len(undisturbed["saved_model/saved_model.pb"])
    process = run(*task(where, *QUICK), preexec_fn=small_files_only(size), **bench.options())
    assert process.returncode == 1
    assert re.search("File too large: .*(saved_model|model.keras)", sentence(process))
    artefacts = objects_in(bench.storage) if where == WHERE else files_in(bench.folder / "job")
    assert MANIFEST not in artefacts
    assert steps_of(artefacts) == steps_of(undisturbed)
    assert artefacts[METRICS] == undisturbed[METRICS]
    assert_recoverable(WHERE if where == WHERE else bench.folder / where, bench.folder / "models")


JUMPING_CLOCK = """
import itertools, runpy, sys, time
real, jumps = time.time, itertools.cycle([0.0, 86400.0, -86400.0, 3600.0, -1.0])
time.time = lambda: real() + next(jumps)
runpy.run_module("trainer.task", run_name="__main__", alter_sys=True)
"""


def test_a_clock_that_jumps_changes_nothing(bench: Bench, undisturbed: Mapping[str, bytes]) -> None:
    process = run("-c", JUMPING_CLOCK, *task(WHERE, *QUICK)[2:], **bench.options())
    assert (process.returncode, process.stderr) == (0, "")
    assert manifest_of(objects_in(bench.storage))["wall_seconds"] < 300
    assert_complete(bench, undisturbed)
