"""Trials on a Ray cluster whose nodes come, go, are full, or are not alike.

More than 250 lines, since all tests but one share one cluster, which takes seconds to start.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import SUPPORT, cloudless_environment
from tests.support import tuner_of_fakes
from tests.support.ray_machines import Machines
from tests.support.waiting import wait_until
from trainer.contract import provenance
from tuner.execution import machine_faults, ray_executor
from tuner.execution.ray_cluster import RayError
from tuner.execution.ray_executor import RayExecutor
from tuner.execution.ray_node import NodeSettings
from tuner.execution.trial import FAILED, SUCCEEDED, Outcome, Trial
from tuner.execution.trial_command import Task

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
    pytest.mark.xdist_group("ray"),
]
TEMPLATE = Path("templates/smoke.yaml").read_text(encoding="utf-8")
Start = Callable[..., RayExecutor]


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    cluster = Machines(2)
    yield cluster
    cluster.close()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def start(machines: Machines, tmp_path: Path, said: list[str]) -> Iterator[Start]:
    """An executor of this cluster; flags change what it tells the nodes."""
    made: list[RayExecutor] = []
    settings = NodeSettings(
        program=(str(SUPPORT / "fake_trainer.py"),),
        batch=(),
        metric="mean_score",
        job="s",
        time_limit=math.inf,
        folder=tmp_path,
        bucket="",
        cpus=1.0,
        versions=provenance.versions(),
    )

    def start(**changes: object) -> RayExecutor:
        changed = dataclasses.replace(settings, **changes)  # type: ignore[arg-type]
        made.append(RayExecutor(machines.address, changed, tmp_path, notify=said.append))
        return made[-1]

    yield start
    for each in made:
        each.close()


def task(folder: Path, how: str, number: int = 1) -> Task:
    job_dir = folder / str(number)
    return Task(f"trial {number}", number, job_dir, (f"--how={how}", f"--job-dir={job_dir}"))


def ended(executor: RayExecutor, *trials: Trial) -> list[Outcome]:
    found: dict[Trial, Outcome] = {}

    def all_ended() -> bool:
        found.update(executor.poll())
        return len(found) == len(trials)

    wait_until(all_ended, 90)
    return [found[trial] for trial in trials]


def started(executor: RayExecutor, trial: Trial, times: int = 1) -> None:
    def has() -> bool:
        assert not executor.poll()
        file = trial.task.job_dir / "starts"
        return file.exists() and file.read_text().count("\n") >= times

    wait_until(has, 90)


def test_the_trials_of_a_lost_node_continue_on_another(
    start: Start, machines: Machines, tmp_path: Path, said: list[str]
) -> None:
    (tmp_path / "fake.json").write_text("{}")
    executor = start()
    # The stand-in waits for a file beside $FAKE, which no node has: so it waits.
    trials = [executor.submit(task(tmp_path, "hang", number)) for number in (1, 2)]
    for trial in trials:
        started(executor, trial)
    lost = machines.nodes.pop(0)
    machines.lose(lost)
    moved = next(t for t in wait_until(lambda: _after(executor, trials, said)) if t.started is None)
    machines.nodes.append(machines.add())
    started(executor, moved, times=2)
    [line] = said
    assert line.endswith(f"was lost; {moved.task.name} goes on elsewhere.") and "Node " in line
    for trial in trials:
        executor.stop(trial, "enough")
    assert {outcome.reason for outcome in ended(executor, *trials)} == {"enough"}


def _after(executor: RayExecutor, trials: list[Trial], said: list[str]) -> list[Trial]:
    executor.poll()
    return trials if said else []


def test_a_node_with_another_version_is_refused_by_name(
    start: Start, tmp_path: Path, said: list[str]
) -> None:
    executor = start(versions={**provenance.versions(), "numpy": "0.9"})
    trial = executor.submit(task(tmp_path, "succeed"))
    with pytest.raises(RayError, match=r"No node .* can run trials\. Node .* has numpy .*, but"):
        ended(executor, trial)
    assert all("It gets no trials." in line for line in said) and said
    executor.stop(trial, "the study was interrupted")
    assert ended(executor, trial)[0].state == FAILED


def test_a_node_that_does_not_see_the_job_dir_is_refused_by_name(
    start: Start, tmp_path: Path
) -> None:
    executor = start(folder=tmp_path / "elsewhere")
    trial = executor.submit(task(tmp_path, "succeed"))
    with pytest.raises(RayError, match=r"Node .* does not see the job dir .*elsewhere\. Give a"):
        ended(executor, trial)


def test_a_full_node_gets_no_more_trials(
    start: Start, machines: Machines, tmp_path: Path, said: list[str]
) -> None:
    full = machines.add(FAKE_DISK="full")
    executor = start()
    try:
        trials = [executor.submit(task(tmp_path, "succeed", number)) for number in range(1, 7)]
        assert {outcome.state for outcome in ended(executor, *trials)} == {SUCCEEDED}
    finally:
        machines.lose(full)
    [line] = [line for line in said if "was lost" not in line]
    assert line.endswith(f"{machine_faults.NO_ROOM}. It gets no trials.")


def test_a_missing_machine_is_waited_for(
    start: Start, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_executor, "_WAIT", 0.3)
    executor = start(cpus=5.0)
    trial = executor.submit(task(tmp_path, "succeed"))
    wait_until(lambda: executor.poll() or said)
    assert said == ["Waiting for a node with 5 CPUs free."]
    executor.stop(trial, "the study was interrupted")
    assert ended(executor, trial)[0].state == FAILED


class Study:
    """A study with stand-ins on the cluster, as a command."""

    def __init__(self, folder: Path, machines: Machines) -> None:
        self.folder, self._machines = folder, machines
        text = TEMPLATE.replace("maxParallelTrials: 1", "maxParallelTrials: 2")
        (folder / "space.yaml").write_text(text, encoding="utf-8")
        self.behave({})

    def behave(self, book: dict[str, str]) -> None:
        (self.folder / "fake.json").write_text(json.dumps(book), encoding="utf-8")

    def start(self, *flags: str, **environment: str) -> subprocess.Popen[str]:
        env = {"FAKE": str(self.folder / "fake.json"), **self._machines.environment, **environment}
        words = ["run", "space.yaml", "--job-dir", "study", "--engine", "ray"]
        words += ["--candidates", "1", "--address", self._machines.address, *flags]
        return subprocess.Popen(
            [*tuner_of_fakes.command(), *words],
            cwd=self.folder,
            env=cloudless_environment() | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def starts(self, trial: int) -> int:
        file = self.folder / "study" / str(trial) / "starts"
        return file.read_text().count("\n") if file.exists() else 0

    def states(self) -> list[str]:
        found = json.loads((self.folder / "study" / "study.json").read_bytes())
        return [trial["state"] for trial in found["trainingOutput"]["trials"]]


@pytest.fixture
def study(tmp_path: Path, machines: Machines) -> Study:
    return Study(tmp_path, machines)


def test_a_killed_owner_is_started_again_at_once(study: Study) -> None:
    study.behave({"2": "hang"})
    process = study.start(FAKE_SECRET="not for others")
    wait_until(lambda: study.starts(2), 90)
    process.kill()
    process.communicate()
    study.behave({})
    out, err = study.start().communicate(timeout=120)
    assert study.states() == ["SUCCEEDED"] * 4, out + err
    assert "winner" in out
    environment = (study.folder / "study" / "2" / "environment").read_text()
    assert "not for others" not in environment and "RAY_AUTH_TOKEN" not in environment


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_study_as_on_one_machine(study: Study, number: int) -> None:
    study.behave({"all": "hang"})
    process = study.start()
    wait_until(lambda: study.starts(1) and study.starts(2), 90)
    process.send_signal(number)
    if number == signal.SIGINT:  # again: at once
        assert process.stdout is not None
        assert any(line.startswith("Ctrl-C: no new trials") for line in process.stdout)
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, "")
    assert "The study was stopped; the same command continues it." in out
    assert study.states() == ["QUEUED"] * 2


def test_a_wrong_token_is_a_sentence(study: Study) -> None:
    process = study.start(RAY_AUTH_TOKEN="f" * 40)
    out, err = process.communicate(timeout=90)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[-1].startswith("error: No Ray cluster at ") and "token" in err


def test_without_ray_the_message_names_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('no ray', name='ray')\n")
    (tmp_path / "space.yaml").write_text(TEMPLATE, encoding="utf-8")
    words = ["-m", "tuner", "run", "space.yaml", "--job-dir", "study", "--engine", "ray"]
    environment = cloudless_environment()
    environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"
    ended = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "error: Ray is not installed, which --engine ray needs. Run: pip install '.[ray]'\n"
    )
