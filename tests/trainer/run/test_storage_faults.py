"""Whole runs, as a user starts them, through every fault: what is said, and what is kept."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.cloud_runs import (
    PREFIX,
    QUICK,
    UNCLOSED,
    WHERE,
    Process,
    assert_as_listed,
    assert_recoverable,
    assert_same_end,
    ended,
    environment,
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
from tests.support.storage_server import Fault, FaultyStorage
from tests.support.waiting import wait_until
from trainer.contract.job_files import CHECKPOINT, EVENTS, MANIFEST, METRICS, MODEL, SETTINGS
from trainer.storage.lease import OWNER

pytestmark = [
    pytest.mark.faults,
    UNCLOSED,
    # Keras' variables do not know NumPy 2's `copy` keyword yet.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

ENDLESS = (*QUICK, "--total_steps", "1e12", "--stop_at_score", "none")


@pytest.fixture
def storage() -> Iterator[FaultyStorage]:
    with FaultyStorage() as storage:
        yield storage


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


@pytest.fixture
def bench(storage: FaultyStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
    return Bench(storage, tmp_path)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """What the run comes to on a folder, without any fault."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = run(*task("job", *QUICK), env=environment(None, folder), cwd=folder)
    assert (process.returncode, process.stderr) == (0, "")
    return files_in(folder / "job")


def assert_complete(bench: Bench, undisturbed: Mapping[str, bytes]) -> None:
    """The bucket holds the whole run, as if there had been no fault."""
    artefacts = objects_in(bench.storage)
    assert artefacts.keys() == undisturbed.keys()
    assert_same_end(artefacts, undisturbed)
    assert_as_listed(artefacts)
    assert bench.leftovers == []
    assert_recoverable(WHERE, bench.folder / "models")


# Seen before training


@pytest.mark.parametrize(
    "fault, words",
    [
        *(
            (Fault.deny(right), f"Bucket bucket refuses {right}")
            for right in map("storage.objects.{}".format, ("list", "create", "get", "delete"))
        ),
        (Fault(status=404), "Bucket bucket does not exist, or was deleted"),
        (Fault(status=401), "does not accept the credentials here"),
    ],
    ids=["list", "create", "get", "delete", "404", "401"],
)  # fmt: skip
def test_a_bucket_that_says_no_ends_a_run_before_it_begins(
    fault: Fault, words: str, bench: Bench
) -> None:
    bench.storage.add(fault)
    # It would say so if TensorFlow was imported.
    process = bench.train(PYTHONPROFILEIMPORTTIME="1")
    assert process.returncode == 1
    errors = [x for x in process.stderr.splitlines() if not x.startswith("import time:")]
    assert len(errors) == 1
    assert words in errors[0]
    assert not re.search(r"\| +tensorflow\b", process.stderr)
    assert bench.leftovers == []
    assert SETTINGS not in objects_in(bench.storage)


def test_a_trial_whose_metric_cannot_be_written_ends_before_it_begins(bench: Bench) -> None:
    (bench.folder / "file").write_text("")
    path = str(bench.folder / "file" / "output.metrics")
    process = bench.train(CLOUD_ML_HP_METRIC_FILE=path)
    assert process.returncode == 1
    line = sentence(process)
    assert str(bench.folder / "file") in line
    assert "only root can write there" in line
    assert bench.leftovers == []


def test_a_metric_under_another_name_than_the_service_waits_for_is_refused(bench: Bench) -> None:
    process = bench.train(*QUICK, "--metric_tag", "reward", CLOUD_ML_HP_METRIC_TAG="score")
    assert process.returncode == 2
    assert re.search("'score'.*'reward'", sentence(process))
    assert bench.storage.requests == []


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


# Somebody else


def test_of_two_runs_on_one_job_dir_the_second_is_refused(bench: Bench) -> None:
    with (
        started(*task(WHERE, *ENDLESS), **bench.options()) as first,
        started(*task("job", *ENDLESS), **bench.options()) as second,
    ):
        bench.storage.wait_for(lambda r: is_upload(CHECKPOINT)(r) and r.wrote, 120)
        wait_until((bench.folder / "job" / CHECKPOINT).exists, 120)
        for where in (WHERE, "job"):
            for flags in (ENDLESS, (*ENDLESS, "--seed", "1", "--overwrite")):
                third = run(*task(where, *flags), **bench.options())
                assert third.returncode == 1
                # Which of them depends on whether the first was writing when the third looked.
                refusal = f"Another (run works in|process writes to) {where}"
                assert re.search(refusal, sentence(third))
        generation = bench.storage.generation(f"{PREFIX}/{CHECKPOINT}")
        wait_until(lambda: bench.storage.generation(f"{PREFIX}/{CHECKPOINT}") > generation)
        assert (first.poll(), second.poll()) == (None, None)
    assert_recoverable(WHERE, bench.folder / "models")
    assert_recoverable(bench.folder / "job", bench.folder / "models")


def test_another_runs_checkpoint_is_refused_with_the_flags_that_differ(bench: Bench) -> None:
    with started(*task(WHERE, *QUICK), **bench.options()) as process:
        bench.storage.wait_for(lambda r: is_upload(CHECKPOINT)(r) and r.wrote, 120)
        process.kill()
    before = {k: v for k, v in objects_in(bench.storage).items() if k != OWNER}
    process = bench.train(*QUICK, "--gamma", "0.9", "--seed", "3")
    assert process.returncode == 2
    assert "gamma=0.99 (now 0.9), seed=0 (now 3)" in sentence(process)
    after = {k: v for k, v in objects_in(bench.storage).items() if k != OWNER}
    assert after == before
    bench.storage.delete(f"{PREFIX}/{SETTINGS}")
    process = bench.train(*QUICK, "--gamma", "0.9")
    assert process.returncode == 2
    assert "gamma=0.99 (now 0.9)" in sentence(process)
    assert_recoverable(WHERE, bench.folder / "models")


# What the services set


class Trial(NamedTuple):
    """A trial of Vertex in a bucket, whose metric file others cut short while it ran."""

    artefacts: Mapping[str, bytes]
    told: list[dict[str, Any]]
    process: Process
    again: Process
    permissions: set[str]
    names: set[str]


BASE = "tuning/7"


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    folder = tmp_path_factory.mktemp("trial")
    metric_file = folder / "hypertune" / "output.metrics"
    with FaultyStorage() as storage:
        variables = {
            "AIP_MODEL_DIR": f"gs://bucket/{BASE}/model/",
            "AIP_CHECKPOINT_DIR": f"gs://bucket/{BASE}/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": f"gs://bucket/{BASE}/logs/",
            "CLOUD_ML_HP_METRIC_FILE": str(metric_file),
            "CLOUD_ML_HP_METRIC_TAG": "score",
            "TF_CONFIG": json.dumps({"task": {"type": "chief", "trial": "7"}}),
        }
        options: dict[str, Any] = {"env": environment(storage, folder, **variables), "cwd": folder}
        with started("-m", "trainer.task", *QUICK, **options) as process:
            wait_until(lambda: metric_file.exists() and metric_file.stat().st_size, 120)
            os.truncate(metric_file, 5)
            done = ended(process)
        again = run("-m", "trainer.task", *QUICK, **options)
        return Trial(
            objects_in(storage, BASE),
            [json.loads(line) for line in metric_file.read_text().splitlines()],
            done,
            again,
            {permission for request in storage.requests for permission in request.permissions},
            {request.name for request in storage.requests if request.name is not None},
        )


def test_a_trial_ends_well(trial: Trial) -> None:
    assert (trial.process.returncode, trial.process.stderr) == (0, "")


def test_everything_of_a_trial_lies_in_vertex_directories(
    trial: Trial, undisturbed: Mapping[str, bytes]
) -> None:
    places = {CHECKPOINT: f"checkpoints/{CHECKPOINT}", EVENTS: f"logs/{EVENTS}"}
    expected = {places.get(name, re.sub("^saved_model/", "model/", name)) for name in undisturbed}
    assert trial.artefacts.keys() == expected
    assert_as_listed(trial.artefacts)


def test_a_trial_comes_to_what_the_same_run_comes_to_elsewhere(
    trial: Trial, undisturbed: Mapping[str, bytes]
) -> None:
    found = {CHECKPOINT: trial.artefacts[f"checkpoints/{CHECKPOINT}"], **trial.artefacts}
    ours, theirs = (manifest_of(x)["scores"] for x in (found, undisturbed))
    assert ours == theirs
    assert found[METRICS] == undisturbed[METRICS]


def test_a_trial_that_is_finished_is_not_run_again(trial: Trial) -> None:
    assert (trial.again.returncode, trial.again.stderr) == (0, "")
    assert "finished" in trial.again.stdout


def test_a_metric_file_that_another_writer_cut_short_is_made_whole(
    trial: Trial, undisturbed: Mapping[str, bytes]
) -> None:
    steps = [int(line["global_step"]) for line in trial.told]
    assert steps == sorted(set(steps))
    lines = [json.loads(line) for line in undisturbed[METRICS].splitlines()]
    assert [float(line["score"]) for line in trial.told] == [line["mean_score"] for line in lines]
    assert {line["trial"] for line in trial.told} == {"7"}


def test_a_run_needs_rights_on_objects_under_its_prefix_only(trial: Trial) -> None:
    assert trial.permissions == {
        f"storage.objects.{verb}" for verb in ("create", "get", "list", "delete")
    }
    assert all(name.startswith(f"{BASE}/") for name in trial.names)
