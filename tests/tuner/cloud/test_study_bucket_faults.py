"""A study whose bucket refuses requests, fails for a while, or stays unreachable."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.support.bucket_studies import QUICK, STUDY, Machine, states
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage


@pytest.mark.parametrize(
    "fault, where, message",
    [
        (None, "gs://no-such-bucket/s",
         "Bucket no-such-bucket does not exist, or was deleted."),
        (Fault.deny("storage.objects.list"), f"gs://bucket/{STUDY}",
         "Bucket bucket refuses storage.objects.list under gs://bucket/rl/study. Grant the role"
         " Storage Object User"),
        (Fault.deny("storage.objects.delete"), f"gs://bucket/{STUDY}",
         "Bucket bucket refuses storage.objects.delete under"),
        (Fault.deny("storage.objects.create"), f"gs://bucket/{STUDY}",
         "Bucket bucket refuses storage.objects.create under"),
        (Fault(status=401), f"gs://bucket/{STUDY}",
         "does not accept the credentials here for gs://bucket/rl/study"),
    ],
)  # fmt: skip
def test_a_bucket_that_refuses_is_one_sentence_before_trial_1(
    machine: Callable[[str], Machine],
    storage: FaultyStorage,
    fault: Fault | None,
    where: str,
    message: str,
) -> None:
    if fault is not None:
        storage.add(fault)
    here = machine("here")
    ended = here.run(where=where)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ") and message in ended.err
    assert (ended.err.count("\n"), here.starts("1")) == (1, 0)


def test_without_the_library_the_message_names_what_to_install(
    machine: Callable[[str], Machine],
) -> None:
    script = "import sys; sys.modules['google.cloud.storage'] = None" + QUICK
    ended = machine("here").run(script=script)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "error: google-cloud-storage is not installed, but a job dir in a bucket needs it. Run: pip"
        " install '.[tuner]'\n"
    )


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(status=503, skip=6, times=5)],
        [Fault("insert", "study.journal|tuner.json", skip=1, times=2, lose_answer=True),
         Fault("insert", "study.json", times=2, reset=True)],
    ],
)  # fmt: skip
def test_bursts_of_faults_lose_nothing(
    machine: Callable[[str], Machine],
    storage: FaultyStorage,
    faults: list[Fault],
) -> None:
    for fault in faults:
        storage.add(fault)
    here = machine("here")
    ended = here.run("--max-trials", "2")
    assert (ended.code, ended.err) == (0, "")
    assert all(fault.matched > fault.skip for fault in faults)
    assert states(storage) == ["COMPLETE"] * 2
    assert (here.local / "study.json").read_bytes() == storage.objects()[f"{STUDY}/study.json"]
    assert json.loads(storage.objects()[f"{STUDY}/best.json"])["test"]["winner"]["agents"] == 20


def test_a_bucket_that_stays_unreachable_ends_the_study_and_the_same_command_continues_it(
    machine: Callable[[str], Machine], storage: FaultyStorage
) -> None:
    storage.add(Fault("insert", "study.journal", skip=1, status=503))
    here = machine("here")
    impatient = "from tuner.cloud import study_sync; study_sync._UPLOAD_PATIENCE = 1.0" + QUICK
    ended = here.run("--max-trials", "2", script=impatient)
    assert (ended.code, ended.err) == (
        1,
        "error: Bucket bucket cannot be reached (status 503). All files are in"
        f" runs/bucket/{STUDY}; the same command continues the study.\n",
    )
    storage.clear()
    assert here.run("--max-trials", "2").code == 0
    assert states(storage) == ["COMPLETE"] * 2
    assert [here.starts(number) for number in "12"] == [1, 1]
