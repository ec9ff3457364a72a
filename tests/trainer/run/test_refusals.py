"""Whole runs that are refused before they train: by a bucket, a metric file, or another run."""

from __future__ import annotations

import re

import pytest

from tests.support.bench import Bench
from tests.support.cloud_runs import (
    PREFIX,
    QUICK,
    UNCLOSED,
    WHERE,
    assert_recoverable,
    is_upload,
    objects_in,
    run,
    sentence,
    started,
    task,
)
from tests.support.storage_faults import Fault
from tests.support.waiting import wait_until
from trainer.contract.job_files import CHECKPOINT, SETTINGS
from trainer.storage.lease import OWNER

pytestmark = [
    pytest.mark.faults,
    UNCLOSED,
    # Keras' variables do not know NumPy 2's `copy` keyword yet.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
ENDLESS = (*QUICK, "--total_steps", "1e12", "--stop_at_score", "none")


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
