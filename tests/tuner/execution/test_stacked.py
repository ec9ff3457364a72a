"""Trials in shared trainer processes; the trainer is a stand-in."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, SUPPORT
from tests.support.waiting import ended, wait_for_report
from trainer.contract.errors import BadCommand
from tuner import __main__ as command_line
from tuner.commands import run
from tuner.execution import worker_pool
from tuner.execution.local_trial import LocalTrial, TrialSettings
from tuner.execution.trial import FAILED, STOPPED, STOPPED_EARLY, SUCCEEDED
from tuner.execution.trial_command import Task
from tuner.execution.worker_pool import StackExecutor
from tuner.spec.loader import load
from tuner.study import plan_from_command

ALONE = "import sys; print('alone', sys.argv[1]); raise SystemExit(3)"
TEMPLATE = ROOT / "templates" / "hyperparam.yaml"


def setting(time_limit: float = 60.0) -> TrialSettings:
    return TrialSettings(
        [sys.executable, "-c", ALONE], dict(os.environ), "score", "study", time_limit
    )


@pytest.fixture
def several(tmp_path: Path) -> Iterator[StackExecutor]:
    found = StackExecutor(setting(), 2, tmp_path, [sys.executable, str(SUPPORT / "fake_batch.py")])
    yield found
    found.close()


def task(folder: Path, number: int, how: str) -> Task:
    return Task(f"trial {number}", number, folder / str(number), (f"--how={how}",))


def process_of(trial: LocalTrial) -> str:
    return re.findall(r"process (\d+)", trial.log.read_text())[-1]


def test_a_trial_has_the_exit_code_that_its_worker_reports(
    several: StackExecutor, tmp_path: Path
) -> None:
    good, bad = (several.submit(task(tmp_path, n, how)) for n, how in ((1, "succeed"), (2, "fail")))
    outcome = ended(good)
    assert (outcome.state, outcome.exit_code, outcome.cpu_seconds) == (SUCCEEDED, 0, 1.5)
    assert [found.value for found in outcome.measurements] == [7.0]
    outcome = ended(bad)
    assert (outcome.state, outcome.exit_code) == (FAILED, 1)
    assert outcome.last_lines[-1].endswith("is to fail"), "its own log is what is shown"


def test_trials_are_spread_over_as_many_workers_as_there_may_be(
    several: StackExecutor, tmp_path: Path
) -> None:
    trials = [several.submit(task(tmp_path, n, "wait")) for n in range(4)]
    for trial in trials:
        wait_for_report(trial)
    processes = [process_of(trial) for trial in trials]
    assert len(set(processes)) == 2 and max(map(processes.count, processes)) == 2
    for trial in trials:
        trial.stop("it is enough")
    assert {ended(trial).exit_code for trial in trials} == {143}


def test_a_worker_serves_one_trial_after_the_other(several: StackExecutor, tmp_path: Path) -> None:
    seen = set()
    for number in range(3):
        trial = several.submit(task(tmp_path, number, "succeed"))
        assert ended(trial).state == SUCCEEDED
        seen.add(process_of(trial))
    assert len(seen) == 1


def test_the_trials_of_a_dead_worker_continue_in_processes_of_their_own(
    tmp_path: Path,
) -> None:
    told: list[str] = []
    program = [sys.executable, str(SUPPORT / "fake_batch.py")]
    one = StackExecutor(setting(), 1, tmp_path, program, told.append)
    bystander, culprit = (
        one.submit(task(tmp_path, n, how)) for n, how in ((1, "wait"), (2, "die"))
    )
    for trial in (bystander, culprit):
        outcome = ended(trial)
        assert (outcome.state, outcome.exit_code) == (FAILED, 3), "as the program for one says"
        assert "alone" in trial.log.read_text()
    assert ended(one.submit(task(tmp_path, 3, "succeed"))).state == SUCCEEDED, "by a new worker"
    assert told == [
        "A trainer process died. Each of its trials continues from its checkpoint in a slower"
        f" process of its own (log: {tmp_path / 'worker-1.log'})."
    ]
    one.close()


def test_a_trial_may_be_stopped_by_the_median_rule(several: StackExecutor, tmp_path: Path) -> None:
    trial = several.submit(task(tmp_path, 1, "wait"))
    wait_for_report(trial)
    trial.stop(STOPPED_EARLY)
    outcome = ended(trial)
    assert (outcome.state, outcome.reason) == (STOPPED, STOPPED_EARLY)


def test_a_trial_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    program = [sys.executable, str(SUPPORT / "fake_batch.py")]
    several = StackExecutor(setting(time_limit=0.3), 1, tmp_path, program)
    outcome = ended(several.submit(task(tmp_path, 1, "wait")))
    assert (outcome.state, outcome.reason) == (FAILED, "it ran for more than 0.3 s")
    several.close()


def test_a_worker_that_does_not_stop_a_trial_is_killed(
    several: StackExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "_PATIENCE", 0.3)
    trial = several.submit(task(tmp_path, 1, "ignore"))
    wait_for_report(trial)
    trial.stop("the study was interrupted")
    outcome = ended(trial)
    assert (outcome.state, outcome.reason) == (FAILED, "the study was interrupted")


@pytest.mark.parametrize(
    "cores, trials, processes, each",
    [(1, 8, 1, 1), (2, 8, 1, 2), (4, 8, 1, 4), (6, 8, 2, 3), (16, 8, 4, 4), (16, 2, 2, 8)],
)
def test_few_processes_keep_all_cores_busy(
    cores: int, trials: int, processes: int, each: int
) -> None:
    assert worker_pool.processes(cores, trials) == (processes, each)


def test_a_worker_may_be_started_before_there_is_a_trial_for_it(
    several: StackExecutor, tmp_path: Path
) -> None:
    several.start()
    trial = several.submit(task(tmp_path, 1, "succeed"))
    assert ended(trial).state == SUCCEEDED
    assert [path.name for path in tmp_path.glob("worker-*.log")] == ["worker-1.log"]


def test_a_worker_without_trials_is_not_waited_for(tmp_path: Path) -> None:
    deaf = StackExecutor(
        setting(), 1, tmp_path, [sys.executable, "-c", "import time; time.sleep(600)"]
    )
    deaf.start()
    (worker,) = deaf._workers
    deaf.close()
    assert worker._process.returncode == -signal.SIGKILL


def test_no_worker_is_left_behind(tmp_path: Path) -> None:
    several = StackExecutor(
        setting(), 2, tmp_path, [sys.executable, str(SUPPORT / "fake_batch.py")]
    )
    trial = several.submit(task(tmp_path, 1, "wait"))
    wait_for_report(trial)
    process = int(process_of(trial))
    several.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def plan(*flags: str) -> object:
    parser = argparse.ArgumentParser()
    run.add_flags(parser)
    spec = load(TEMPLATE.read_bytes(), str(TEMPLATE))
    return plan_from_command.make_plan(spec, parser.parse_args(["f", "--job-dir", "d", *flags]))


@pytest.mark.parametrize(
    "flags, engine",
    [
        ((), "stacked"),
        (("--trainer-args=--environment=CartPole-v0",), "stacked"),
        (("--trainer-args=--environment=Acrobot-v1",), "process"),
        (("--trainer-args=--collector=gymnasium",), "process"),
        (("--image", "trainer:1"), "process"),
        (("--engine", "process"), "process"),
    ],
)
def test_trials_share_processes_where_environments_can_be_compiled(
    flags: tuple[str, ...], engine: str
) -> None:
    assert getattr(plan(*flags), "engine") == engine  # noqa: B009


def test_containers_are_not_stacked() -> None:
    with pytest.raises(BadCommand, match="--engine process"):
        plan("--engine", "stacked", "--image", "trainer:1")


def test_words_for_the_trainer_need_no_equals_sign() -> None:
    words = command_line._joined(["run", "f", "--trainer-args", "--seeds 3", "--seeds", "2"])
    assert words == ["run", "f", "--trainer-args=--seeds 3", "--seeds", "2"]
