"""A study in a bucket is complete there, continues on any machine, and has one tuner at a time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.support.bucket_studies import SPACE, STUDY, Machine, end, states, study_json
from tests.support.storage_server import FaultyStorage
from tests.support.waiting import wait_until
from tuner.cloud import jobs
from tuner.cloud.study_sync import as_reports


def test_the_study_is_in_the_bucket_and_continues_on_another_machine(
    machine: Callable[[str], Machine], storage: FaultyStorage
) -> None:
    here = machine("here")
    ended = here.run("--max-trials", "2")
    assert (ended.code, ended.err) == (0, "")
    lines = [line for line in ended.out.splitlines() if ": warning: " not in line]
    assert lines[0].endswith(f"; everything goes to gs://bucket/{STUDY}")
    assert lines[1] == f"      Local copy: runs/bucket/{STUDY}; logs of trials stay there."
    assert lines[-1] == f"gs://bucket/{STUDY}/best.json has the flags to paste."
    names = {name.removeprefix(f"{STUDY}/") for name in storage.objects()}
    assert {"study.journal", "study.json", "best.json", "1/manifest.json", "2/manifest.json",
            "test-3/winner/manifest.json"} <= names  # fmt: skip
    assert "tuner.json" not in names, "whoever comes next need not wait"
    assert states(storage) == ["COMPLETE"] * 2
    job = jobs.ai_platform_job(study_json(storage))
    assert (job.name, [trial.job_dir for trial in job.ranked]) == (
        "study",
        [f"gs://bucket/{STUDY}/{trial.id}" for trial in job.ranked],
    )
    best = json.loads(storage.objects()[f"{STUDY}/best.json"])
    assert best["test"]["winner"]["agents"] == 20, "read in the bucket, for it is nowhere else"
    assert best["reproduce"]["versions"] == {"trainer": "0.1.0"}
    assert best["reproduce"]["curve_sha256"] and best["trials_until_solved"] == 1

    there = machine("there")
    ended = there.run("--max-trials", "3")
    assert (ended.code, ended.err) == (0, "")
    assert "      2 trials have ended before." in ended.out
    assert [there.starts(str(number)) for number in (1, 2, 3)] == [1, 1, 1]
    # Back on the first machine, whose own files are old by now.
    ended = here.run("--max-trials", "3")
    assert (ended.code, ended.err) == (0, "")
    assert "      3 trials have ended before." in ended.out
    assert [there.starts(str(number)) for number in (1, 2, 3)] == [1, 1, 1]


def test_nothing_is_lost_when_a_machine_is(
    machine: Callable[[str], Machine], storage: FaultyStorage, tmp_path: Path
) -> None:
    here = machine("here")
    here.behave({"2": "wait 1", "3": "hang"})
    process = here.start("--max-trials", "3", "--candidates", "1", "--parallel", "2")
    wait_until(lambda: here.starts("3"))
    process.kill()
    process.communicate()
    # Trial 2 ends with nobody to hear of it, or had been told just now.
    wait_until(lambda: f"{STUDY}/2/manifest.json" in storage.objects())
    here.behave({})
    there = machine("there")
    ended = there.run("--max-trials", "3")
    assert (ended.code, ended.err) == (0, "")
    assert states(storage) == ["COMPLETE"] * 3
    trials = study_json(storage)["trainingOutput"]["trials"]
    assert all(trial["finalMetric"]["trainingStep"] == "20" for trial in trials)
    assert [there.starts(str(number)) for number in (1, 2, 3)] == [1, 1, 2]
    left = int((tmp_path / "jobs" / STUDY / "3" / "starts").read_text().split()[0])
    with contextlib.suppress(ProcessLookupError):
        os.kill(left, signal.SIGKILL)


def test_one_tuner_at_a_time(machine: Callable[[str], Machine], storage: FaultyStorage) -> None:
    here, there = machine("here"), machine("there")
    here.behave({"1": "hang"})
    process = here.start()
    wait_until(lambda: here.starts("1"))
    assert there.run() == (
        1,
        "",
        f"error: Another tuner works in gs://bucket/{STUDY}. Wait"
        " for it, or take another job dir.\n",
    )
    process.terminate()
    ended = end(process)
    assert (ended.code, ended.err) == (143, "")
    assert states(storage) == ["RUNNING"]
    assert f"{STUDY}/tuner.json" not in storage.objects()


def test_a_tuner_that_was_asleep_too_long_has_lost_the_study(
    machine: Callable[[str], Machine], storage: FaultyStorage
) -> None:
    here, there = machine("here"), machine("there")
    here.behave({"1": "wait 4"})
    process = here.start("--max-trials", "2")
    wait_until(lambda: here.starts("1"))
    process.send_signal(signal.SIGSTOP)
    here.behave({})
    try:
        assert there.run("--max-trials", "2").code == 0
        before = storage.generation(f"{STUDY}/study.journal")
    finally:
        process.send_signal(signal.SIGCONT)
    ended = end(process)
    assert ended.code == 1
    assert f"Another tuner works in gs://bucket/{STUDY}" in ended.err
    assert storage.generation(f"{STUDY}/study.journal") == before, (
        "nothing of the other's is replaced"
    )


def test_a_study_continues_from_an_earlier_one_in_the_bucket(
    machine: Callable[[str], Machine], storage: FaultyStorage
) -> None:
    here, there = machine("here"), machine("there")
    assert here.run("--max-trials", "2", where="gs://bucket/rl/before").code == 0
    resumed = SPACE.replace("maxTrials: 4", "maxTrials: 4\n    resumePreviousJobId: before")
    (there.path / "space.yaml").write_text(resumed, encoding="utf-8")
    ended = there.run("--max-trials", "1")
    assert (ended.code, ended.err) == (0, "")
    assert "      The search knows 2 trials of gs://bucket/rl/before" in ended.out
    assert len(study_json(storage)["trainingOutput"]["trials"]) == 1


def test_reports_are_rebuilt_from_the_trainers_record() -> None:
    record = (
        b'{"step": 10, "final": false, "mean_score": 1.5, "scores": [1, 2]}\n'
        b'{"step": 20, "final": false, "mean_score": null}\n'
        b'{"step": 20, "final": false, "mean_score": 3.0}\n'
        b'{"step": 20, "final": true, "mean_score": 4.0}\n{"ste'
    )
    lines = [json.loads(line) for line in as_reports(record, "tag", 7).splitlines()]
    assert lines == [
        {"global_step": "10", "tag": "1.5", "trial": "7"},
        {"global_step": "20", "tag": "3.0", "trial": "7"},
        {"global_step": "21", "tag": "4.0", "trial": "7"},
    ]
