"""A study in a bucket: all of it is there, goes on anywhere, and has one tuner at a time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import pytest

from tests.conftest import ROOT, cloudless_environment
from tests.support.storage_server import Fault, FaultyStorage
from tests.support.waiting import wait_until
from tuner.cloud import jobs
from tuner.cloud.study_sync import as_reports
from tuner.search import journal

STUDY = "rl/study"
SPACE = (
    (ROOT / "templates" / "smoke.yaml")
    .read_text(encoding="utf-8")
    .replace("enableTrialEarlyStopping: true", "enableTrialEarlyStopping: false")
)
# Signs of life that tests need not wait for; set before anything else imports them.
QUICK = """
import sys
from trainer.storage import lease
lease.HEARTBEAT, lease.DEAD_AFTER = 0.3, 1.5
from tuner.__main__ import main
from tests.support.tuner_of_fakes import stand_in
raise SystemExit(main(sys.argv[1:], stand_in("fake_cloud_trainer.py")))
"""


class Ended(NamedTuple):
    code: int
    out: str
    err: str


class Machine:
    """A folder that a tuner works in, as on a machine of its own, and the bucket it shares."""

    def __init__(self, path: Path, storage: FaultyStorage, shared: Path) -> None:
        self.path, self.storage, self.shared = path, storage, shared
        path.mkdir()
        (path / "space.yaml").write_text(SPACE, encoding="utf-8")
        self.behave({})

    def behave(self, book: Mapping[str, str]) -> None:
        (self.shared / "fake.json").write_text(json.dumps(book), encoding="utf-8")

    def start(
        self, *flags: str, where: str = f"gs://bucket/{STUDY}", script: str = QUICK
    ) -> subprocess.Popen[str]:
        words = ["run", "space.yaml", "--job-dir", where, *flags]
        return subprocess.Popen(
            [sys.executable, "-c", script, *words],
            cwd=self.path,
            env=cloudless_environment()
            | {"FAKE": str(self.shared / "fake.json"), "STORAGE_EMULATOR_HOST": self.storage.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *flags: str, **more: str) -> Ended:
        return end(self.start("--candidates", "1", *flags, **more))

    def starts(self, trial: str) -> int:
        """How often a trial has been trained, wherever."""
        with contextlib.suppress(FileNotFoundError):
            path = self.shared / "jobs" / STUDY / trial / "starts"
            return len(path.read_text(encoding="utf-8").splitlines())
        return 0

    @property
    def local(self) -> Path:
        return self.path / "runs" / "bucket" / STUDY


def end(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return Ended(process.returncode, out, err)


@pytest.fixture
def storage() -> Iterator[FaultyStorage]:
    with FaultyStorage() as made:
        yield made


@pytest.fixture
def machine(tmp_path: Path, storage: FaultyStorage) -> Callable[[str], Machine]:
    return lambda name: Machine(tmp_path / name, storage, tmp_path)


def study_json(storage: FaultyStorage) -> Any:
    return json.loads(storage.objects()[f"{STUDY}/study.json"])


def states(storage: FaultyStorage) -> list[str]:
    """What the study in the bucket says of each trial."""
    kept = journal.read(storage.objects()[f"{STUDY}/study.journal"])
    trials = optuna.load_study(study_name=None, storage=kept).get_trials()
    return [trial.state.name for trial in trials]


def test_the_whole_study_is_in_the_bucket_and_goes_on_from_another_machine(
    machine: Callable[[str], Machine], storage: FaultyStorage
) -> None:
    here = machine("here")
    ended = here.run("--max-trials", "2")
    assert (ended.code, ended.err) == (0, "")
    lines = [line for line in ended.out.splitlines() if ": warning: " not in line]
    assert lines[0].endswith(f"; everything goes to gs://bucket/{STUDY}")
    assert lines[1] == f"      The study works in runs/bucket/{STUDY}; logs of trials stay there."
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


def test_without_the_library_it_says_what_to_install(machine: Callable[[str], Machine]) -> None:
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


def test_a_bucket_that_stays_away_ends_the_study_and_the_same_command_goes_on(
    machine: Callable[[str], Machine], storage: FaultyStorage
) -> None:
    storage.add(Fault("insert", "study.journal", skip=1, status=503))
    here = machine("here")
    impatient = "from tuner.cloud import study_sync; study_sync._LAST_WORDS = 1.0" + QUICK
    ended = here.run("--max-trials", "2", script=impatient)
    assert (ended.code, ended.err) == (
        1,
        "error: Bucket bucket cannot be reached (status 503). All is kept in"
        f" runs/bucket/{STUDY}; the same command goes on.\n",
    )
    storage.clear()
    assert here.run("--max-trials", "2").code == 0
    assert states(storage) == ["COMPLETE"] * 2
    assert [here.starts(number) for number in "12"] == [1, 1]


def test_a_study_goes_on_from_another_in_the_bucket(
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


def test_a_study_that_was_taken_out_of_the_bucket_is_asked_about(
    machine: Callable[[str], Machine], storage: FaultyStorage
) -> None:
    here = machine("here")
    here.run("--max-trials", "1")
    storage.delete(f"{STUDY}/study.journal")
    ended = here.run("--max-trials", "1")
    assert ended.code == 1
    assert ended.err == (
        f"error: gs://bucket/{STUDY} held study.journal, but holds it no longer. Remove"
        f" runs/bucket/{STUDY} to begin anew.\n"
    )


@pytest.mark.parametrize("content", [b"ruined " * 1000, b"ruined\n", b"", "half"])
def test_a_damaged_file_takes_no_place_in_the_bucket(
    machine: Callable[[str], Machine], storage: FaultyStorage, content: bytes | str
) -> None:
    here, there = machine("here"), machine("there")
    assert here.run("--max-trials", "2").code == 0
    file = here.local / "study.journal"
    before, whole_file = storage.generation(f"{STUDY}/study.journal"), file.read_bytes()
    half = b"".join(whole_file.splitlines(keepends=True)[:5])
    file.write_bytes(half if isinstance(content, str) else content)
    ended = here.run("--max-trials", "3")
    assert ended.code == 1
    assert f"Remove runs/bucket/{STUDY} to go on from there." in ended.out + ended.err
    assert storage.generation(f"{STUDY}/study.journal") == before
    assert there.run("--max-trials", "3").code == 0
    assert [there.starts(number) for number in "123"] == [1, 1, 1]


def test_a_pipe_in_its_place_is_not_waited_for(
    machine: Callable[[str], Machine], storage: FaultyStorage
) -> None:
    here = machine("here")
    assert here.run("--max-trials", "1").code == 0
    (here.local / "study.journal").unlink()
    os.mkfifo(here.local / "study.journal")
    ended = here.run("--max-trials", "2")
    assert (ended.code, "it is no file" in ended.err) == (1, True)
    assert states(storage) == ["COMPLETE"]


def test_a_file_that_breaks_on_the_way_takes_no_place_in_the_bucket(
    machine: Callable[[str], Machine], storage: FaultyStorage
) -> None:
    here = machine("here")
    here.behave({"2": "hang"})
    process = here.start("--max-trials", "3")
    wait_until(lambda: here.starts("2"))
    (here.local / "study.journal").write_bytes(b"ruined " * 1000)
    ended = end(process)
    assert ended.code == 1
    assert "does not continue what gs://bucket/rl/study has" in ended.out + ended.err
    assert states(storage) == ["COMPLETE", "RUNNING"]


def test_reports_are_told_again_from_the_trainers_own_record() -> None:
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
