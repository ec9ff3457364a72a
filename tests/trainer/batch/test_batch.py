"""Many runs in one process: each leaves what it would have left alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT, TIMEOUT, TINY_RUN, FinishedRun, cloudless_environment
from tests.support.waiting import wait_until
from trainer.batch.__main__ import main
from trainer.contract.job_files import CHECKPOINT, MANIFEST, METRICS
from trainer.storage.checkpoint import read

LONG = ("--total_steps=100000000", "--stop_at_score=none", "--sync_every=0")


class Batch:
    """`python -m trainer.batch`, spoken to line by line."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trainer.batch", *flags],
            cwd=folder,
            env=cloudless_environment() | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def say(self, *lines: object) -> None:
        assert self.process.stdin is not None
        for line in lines:
            self.process.stdin.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, dict[Any, dict[str, Any]], str]:
        """Exit code, answers by id, and what was said on stderr, after the input has ended."""
        out, err = self.process.communicate(timeout=TIMEOUT)
        answers = [json.loads(line) for line in out.splitlines()]
        found = {answer["id"]: answer for answer in answers}
        assert len(found) == len(answers), "each is answered once"
        return self.process.returncode, found, err


@pytest.fixture
def start(tmp_path: Path) -> Any:
    batches: list[Batch] = []

    def start(*flags: str) -> Batch:
        batches.append(Batch(tmp_path, *flags))
        return batches[-1]

    yield start
    for batch in batches:
        with batch.process:
            batch.process.kill()


def order(number: object, *flags: str, **more: object) -> dict[str, object]:
    return {"id": number, "arguments": [*flags, "--job_dir", f"{number}"],
            "log": f"{number}.log"} | more  # fmt: skip


def test_each_run_leaves_what_it_leaves_alone_and_bad_ones_harm_nobody(
    start: Callable[..., Batch], tmp_path: Path, finished_run: FinishedRun
) -> None:
    variables = {"CLOUD_ML_HP_METRIC_FILE": str(tmp_path / "metric"), "CLOUD_ML_TRIAL_ID": "7"}
    batch = start()
    batch.say(
        order("same", *TINY_RUN),
        order("other", *TINY_RUN, "--hidden_neurons=20", "--gamma=0.9", environ=variables),
        order("typo", "--sed=1"),
        order("nowhere", "--environment=Nope-v1"),
        order("small", "--total_steps=200", "--environment=Acrobot-v1", *TINY_RUN[2:-2]),
        "nonsense",
        {"id": "empty"},
        order("again", arguments=[*TINY_RUN, "--seed=4", "--job_dir=same"]),  # which is in use
        {"id": "no log", "arguments": ["--sed=1"]},
        order("odd log", *TINY_RUN, log="a\0b"),
    )
    code, answers, err = batch.end()
    assert code == 0, err
    found = {number: answer["exit_code"] for number, answer in answers.items()}
    assert found == {
        "same": 0, "other": 0, "typo": 2, "nowhere": 2, "small": 0, "empty": 2, "again": 1, None: 2,
        "no log": 2, "odd log": 2,
    }  # fmt: skip
    assert "Not a JSON object: nonsense" in err and "Not a request for a run" in err
    assert "--sed is not a flag" in err, "the words of one without a log"
    assert "--seed" in (tmp_path / "typo.log").read_text()
    assert "Nope-v1" in (tmp_path / "nowhere.log").read_text()
    names = {path.name for path in finished_run.job_dir.iterdir()}
    for job in ("same", "other", "small"):
        assert {path.name for path in (tmp_path / job).iterdir()} == names
    lines, alone = (
        [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
        for folder in (tmp_path / "same", finished_run.job_dir)
    )
    assert [line["step"] for line in lines] == [line["step"] for line in alone]
    for line, theirs in zip(lines, alone, strict=True):
        np.testing.assert_allclose(line["scores"], theirs["scores"], rtol=0.02)
    assert {answer["cpu_seconds"] > 0 for answer in answers.values() if "seconds" in answer} == {
        True
    }
    metric = [json.loads(line) for line in (tmp_path / "metric").read_text().splitlines()]
    assert {line["trial"] for line in metric} == {"7"}
    manifest = json.loads((tmp_path / "other" / MANIFEST).read_text())
    assert float(metric[-1]["mean_score"]) == manifest["scores"]["mean_score"]


def test_a_run_that_is_stopped_saves_and_the_others_go_on(
    start: Callable[..., Batch], tmp_path: Path
) -> None:
    batch = start("--end-with-input")
    batch.say(order(1, *LONG), order(2, *LONG))
    wait_until(lambda: all((tmp_path / str(n) / CHECKPOINT).exists() for n in (1, 2)))
    batch.say({"id": 1, "stop": True})
    assert batch.process.stdout is not None
    answer = json.loads(batch.process.stdout.readline())
    assert (answer["id"], answer["exit_code"]) == (1, 143)
    saved = (tmp_path / "2" / CHECKPOINT).stat().st_mtime_ns
    wait_until(lambda: (tmp_path / "2" / CHECKPOINT).stat().st_mtime_ns > saved)
    batch.say(order(1, *LONG))  # the same command goes on
    wait_until(lambda: "Continuing from the checkpoint" in (tmp_path / "1.log").read_text())
    all_are_ended_by_a_signal(batch, tmp_path)


def all_are_ended_by_a_signal(batch: Batch, folder: Path) -> None:
    """Runs 1 and 2, with checkpoints."""
    batch.process.send_signal(signal.SIGTERM)
    code, answers, _ = batch.end()
    assert code == 143
    assert {number: answer["exit_code"] for number, answer in answers.items()} == {1: 143, 2: 143}
    for number in (1, 2):
        assert "continues from there" in (folder / f"{number}.log").read_text().splitlines()[-1]


def test_a_run_that_cannot_be_stacked_is_stopped_with_a_checkpoint_too(
    start: Callable[..., Batch], tmp_path: Path
) -> None:
    batch = start("--cores=1")
    batch.say(order(1, *LONG, "--collector=gymnasium"))
    wait_until((tmp_path / "1" / CHECKPOINT).exists)
    batch.say({"id": 1, "stop": True}, order(2, *TINY_RUN))
    code, answers, err = batch.end()
    assert code == 0, err
    assert {number: answer["exit_code"] for number, answer in answers.items()} == {1: 143, 2: 0}
    assert "continues from there" in (tmp_path / "1.log").read_text()


def test_a_signal_ends_runs_of_every_kind_with_checkpoints(
    start: Callable[..., Batch], tmp_path: Path
) -> None:
    batch = start("--cores=2")
    batch.say(order(1, *LONG, "--collector=gymnasium"), order(2, *LONG))
    wait_until(lambda: all((tmp_path / str(n) / CHECKPOINT).exists() for n in (1, 2)))
    all_are_ended_by_a_signal(batch, tmp_path)


def test_how_many_cores_are_kept_busy_changes_no_bit(
    start: Callable[..., Batch], tmp_path: Path
) -> None:
    found = []
    for cores in (1, 3):
        batch = start(f"--cores={cores}")
        names = [f"{cores}-{number}" for number in range(5)]
        for number, name in enumerate(names):
            batch.say(order(name, *TINY_RUN, f"--seed={number}", f"--hidden_neurons={8 + number}"))
        code, answers, err = batch.end()
        assert code == 0, err
        assert {answer["exit_code"] for answer in answers.values()} == {0}
        found.append([weights(tmp_path / name) for name in names])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def weights(job_dir: Path) -> Any:
    return read((job_dir / CHECKPOINT).read_bytes()).arrays["agents.weights"]


@pytest.mark.parametrize("cores", ["0", "-1", "none", "1.5", "inf"])
def test_the_cores_must_be_a_number_above_zero(
    cores: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([f"--cores={cores}"])
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        f"error: `--cores` {cores} is not a number of cores. Give 1 or more.\n"
    )


def test_a_fault_in_a_stack_ends_the_process(tmp_path: Path) -> None:
    """Nobody would answer for the runs in it; whoever sees the end starts them anew."""
    program = (
        "import os, trainer.batch.__main__, trainer.batch.shared_programs\n"
        "def learn(self, runs): raise MemoryError('no room')\n"
        "trainer.batch.shared_programs.SharedPrograms.learn = learn\n"
        "os._exit(trainer.batch.__main__.main())"
    )
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=cloudless_environment() | {"PYTHONPATH": str(ROOT)},
        input=json.dumps(order(1, *TINY_RUN)),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert (process.returncode, process.stdout) == (1, "")
    assert "MemoryError: no room" in process.stderr


def test_runs_go_on_where_nobody_hears_the_answers(
    start: Callable[..., Batch], tmp_path: Path
) -> None:
    batch = start()
    assert batch.process.stdout is not None and batch.process.stdin is not None
    batch.process.stdout.close()
    batch.say(order(1, "--sed=1"), order(2, *TINY_RUN))
    batch.process.stdin.close()
    assert batch.process.wait(TIMEOUT) == 0
    assert (tmp_path / "2" / MANIFEST).exists()


def test_the_end_of_the_input_ends_the_runs_where_that_was_asked_for(
    start: Callable[..., Batch], tmp_path: Path
) -> None:
    """A tuner that was killed leaves no trainer behind."""
    batch = start("--end-with-input")
    batch.say(order(1, *LONG))
    wait_until((tmp_path / "1" / CHECKPOINT).exists)
    code, answers, _ = batch.end()
    assert (code, answers[1]["exit_code"]) == (0, 143)
