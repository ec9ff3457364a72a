"""The contract of all executors: processes, a stack, a Ray cluster. Trainers are stand-ins."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import SUPPORT
from tests.support.ray_machines import Machines
from tests.support.waiting import wait_until
from tuner.execution.local_trial import TrialSettings
from tuner.execution.processes import ProcessExecutor
from tuner.execution.ray_executor import RayExecutor
from tuner.execution.ray_node import NodeSettings
from tuner.execution.scheduler import Executor
from tuner.execution.trial import (
    FAILED,
    INFEASIBLE,
    STOPPED,
    STOPPED_EARLY,
    SUCCEEDED,
    Outcome,
    Trial,
)
from tuner.execution.trial_command import Task
from tuner.execution.worker_pool import StackExecutor

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.xdist_group("ray"),
]

TRAINER, BATCH = str(SUPPORT / "fake_trainer.py"), str(SUPPORT / "fake_batch.py")
Made = Callable[[], Executor]


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    cluster = Machines(2)
    yield cluster
    cluster.close()


def processes(folder: Path, request: pytest.FixtureRequest) -> Executor:
    program = (sys.executable, TRAINER)
    return ProcessExecutor(TrialSettings(program, os.environ, "mean_score", "s", math.inf))


def stack(folder: Path, request: pytest.FixtureRequest) -> Executor:
    settings = TrialSettings((sys.executable, TRAINER), os.environ, "mean_score", "s", math.inf)
    return StackExecutor(settings, 1, folder, (sys.executable, BATCH))


def cluster(folder: Path, request: pytest.FixtureRequest) -> Executor:
    return ray_executor(request.getfixturevalue("machines"), folder, batch=())


def cluster_of_stacks(folder: Path, request: pytest.FixtureRequest) -> Executor:
    return ray_executor(request.getfixturevalue("machines"), folder, batch=(BATCH,))


def ray_executor(machines: Machines, folder: Path, batch: tuple[str, ...]) -> RayExecutor:
    from trainer.contract import provenance

    settings = NodeSettings(
        program=(TRAINER,),
        batch=batch,
        metric="mean_score",
        job="s",
        time_limit=math.inf,
        folder=folder,
        bucket="",
        cpus=1.0,
        versions=provenance.versions(),
    )
    return RayExecutor(machines.address, settings, folder)


@pytest.fixture(params=[processes, stack, cluster, cluster_of_stacks])
def executor(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Executor]:
    monkeypatch.setenv("FAKE", str(tmp_path / "fake.json"))
    made = request.param(tmp_path, request)
    yield made
    made.close()


def task(folder: Path, how: str, number: int = 1) -> Task:
    """A trial that behaves so, whichever stand-in it is given to."""
    job_dir = folder / str(number)
    words = (f"--how={how}", f"--job-dir={job_dir}")
    return Task(f"trial {number}", number, job_dir, words)


def ended(executor: Executor, *trials: Trial) -> list[Outcome]:
    found: dict[Trial, Outcome] = {}

    def all_ended() -> bool:
        found.update(executor.poll())
        return len(found) == len(trials)

    wait_until(all_ended, 60)
    return [found[trial] for trial in trials]


def reports(executor: Executor, trial: Trial) -> None:
    """Waits for a trial's first report, which comes before its end."""

    def reported() -> bool:
        assert not executor.poll()
        return bool(trial.measurements)

    wait_until(reported, 60)


def test_trials_end_as_they_end(executor: Executor, tmp_path: Path) -> None:
    good, bad = (
        executor.submit(task(tmp_path, how, n)) for n, how in ((1, "succeed"), (2, "fail"))
    )
    success, failure = ended(executor, good, bad)
    assert (success.state, success.reason, success.exit_code) == (SUCCEEDED, "", 0)
    assert success.measurements and success.cpu_seconds > 0
    assert (failure.state, failure.reason) == (FAILED, "exit code 1")
    assert "is to fail" in failure.last_lines[-1] or "went wrong" in failure.last_lines[-1]
    assert executor.poll() == []


def test_reports_come_before_the_end_and_a_stopped_trial_keeps_them(
    executor: Executor, tmp_path: Path
) -> None:
    trial = executor.submit(task(tmp_path, "hang"))
    reports(executor, trial)
    executor.stop(trial, STOPPED_EARLY)
    [outcome] = ended(executor, trial)
    assert (outcome.state, outcome.reason) == (STOPPED, STOPPED_EARLY)
    assert outcome.measurements == tuple(trial.measurements) != ()


def test_a_trial_without_a_report_is_infeasible(executor: Executor, tmp_path: Path) -> None:
    [outcome] = ended(executor, executor.submit(task(tmp_path, "report nothing")))
    assert (outcome.state, outcome.exit_code) == (INFEASIBLE, 0)


def test_a_trial_that_is_stopped_at_once_ends(executor: Executor, tmp_path: Path) -> None:
    trials = [executor.submit(task(tmp_path, "hang", number)) for number in (1, 2, 3)]
    for trial in trials:
        executor.stop(trial, "the study was interrupted")
    found = ended(executor, *trials)
    assert {outcome.state for outcome in found} == {FAILED}
    assert {outcome.machine_fault for outcome in found} == {""}, "the user did it"
    assert {outcome.exit_code for outcome in found} <= {143, -signal.SIGTERM, -signal.SIGKILL}


def test_one_trial_after_the_other(executor: Executor, tmp_path: Path) -> None:
    for number in range(3):
        [outcome] = ended(executor, executor.submit(task(tmp_path, "succeed", number)))
        assert outcome.state == SUCCEEDED
    logs = [tmp_path / str(number) / "trial.log" for number in range(3)]
    assert all("succeed" in log.read_text() for log in logs)
