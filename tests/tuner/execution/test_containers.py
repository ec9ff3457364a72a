"""Trials in containers, with an engine whose containers outlive their client as real ones do.

More than 250 lines, since commands, single trials and whole studies share one stand-in engine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT, SUPPORT, cloudless_environment
from tests.support.waiting import ended, reached
from tuner.__main__ import main
from tuner.execution import process_lock
from tuner.execution.containers import ContainerError, Containers, name_of
from tuner.execution.local_trial import LocalTrial, TrialSettings
from tuner.execution.processes import ProcessExecutor
from tuner.execution.trial import FAILED, STOPPED, STOPPED_EARLY, SUCCEEDED
from tuner.execution.trial_command import Task

FAKE = SUPPORT / "fake_engine.py"
IMAGE = "image:1"


class Engine:
    """A stand-in as a command, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "engine"
        self.folder.mkdir()
        self.command = self.folder / "run.sh"
        self.command.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
        self.command.chmod(0o755)

    def behave(self, book: Mapping[str, str]) -> None:
        Path(os.environ["FAKE"]).write_text(json.dumps(book), encoding="utf-8")

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]

    def made(self, what: str) -> int:
        return [call[0] for call in self.calls].count(what)

    @property
    def alive(self) -> list[str]:
        """The containers that there are."""
        return [path.name for path in self.folder.glob("trial-*")]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    made = Engine(tmp_path)
    monkeypatch.setenv("ENGINE", str(made.folder))
    monkeypatch.setenv("FAKE", str(tmp_path / "fake.json"))
    monkeypatch.setenv("CONTAINER_ENGINE", str(made.command))
    made.behave({})
    yield made
    for name in made.alive:
        os.killpg(int((made.folder / name).read_text()), signal.SIGKILL)


@pytest.fixture
def start(tmp_path: Path, engine: Engine) -> Callable[..., LocalTrial]:
    """Starts trial 1 with a stand-in for the trainer."""

    def start(how: str, **more: float) -> LocalTrial:
        engine.behave({"all": how})
        containers = Containers(str(engine.command), IMAGE)
        setting = TrialSettings(
            *((), os.environ, "mean_score", "s", more.get("time_limit", 60.0), containers)
        )
        folder = tmp_path / "study" / "1"
        task = Task("trial 1", 1, folder, ("--job-dir", str(folder)))
        return ProcessExecutor(setting).submit(task)

    return start


def test_the_command_is_the_clouds_own_and_the_folder_has_the_same_path_inside(
    tmp_path: Path,
) -> None:
    service = {"CLOUD_ML_TRIAL_ID": "3", "TF_CONFIG": "{}", "HOME": "/root", "AIP_MODEL_DIR": "/m"}
    command = Containers("docker", IMAGE).command(tmp_path / "3", ["--a=1", "--b", "2"], service)
    assert command == [
        *("docker", "run", "--rm", "--name", name_of(tmp_path / "3")),
        *("--label", f"a2c-cloud-trainer.trial={tmp_path / '3'}"),
        *("--user", f"{os.getuid()}:{os.getgid()}", "--network", "none"),
        *("--volume", f"{tmp_path / '3'}:{tmp_path / '3'}"),
        *("--env=CLOUD_ML_TRIAL_ID=3", "--env=TF_CONFIG={}", IMAGE, "--a=1", "--b", "2"),
    ]


def test_for_a_bucket_it_has_the_network_and_the_users_credentials(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_text("{}")
    service = {"GOOGLE_APPLICATION_CREDENTIALS": str(key), "STORAGE_EMULATOR_HOST": "http://h"}
    command = Containers("docker", IMAGE, bucket=True).command(tmp_path / "3", [], service)
    assert command[command.index("--network") + 1] == "host"
    assert f"{key}:{key}:ro" in command
    assert f"--env=GOOGLE_APPLICATION_CREDENTIALS={key}" in command
    assert "--env=STORAGE_EMULATOR_HOST=http://h" in command
    assert f"--env=TMPDIR={tmp_path / '3'}" in command, "what cannot be handed over is kept"


def test_the_files_command_replaces_the_entrypoint(tmp_path: Path) -> None:
    containers = Containers("docker", IMAGE, ["python", "-m", "mine"])
    command = containers.command(tmp_path, ["--a=1"], {})
    assert command[-6:] == ["--entrypoint", "python", IMAGE, "-m", "mine", "--a=1"]


def test_names_are_of_one_folder_and_fit_for_engines(tmp_path: Path) -> None:
    names = {name_of(tmp_path / f"{study} ü" / part) for study in "ab" for part in ("1", "2")}
    assert len(names) == 4
    assert all(name.isascii() and " " not in name and len(name) < 64 for name in names)


def test_a_trial_that_ends_well(start: Callable[..., LocalTrial], engine: Engine) -> None:
    outcome = ended(start("succeed"))
    assert (outcome.state, outcome.reason) == (SUCCEEDED, "")
    assert outcome.measurements == ((10, 45.0), (20, 90.0))
    assert outcome.cpu_seconds == 0, "what the client used says nothing"
    assert engine.alive == []


@pytest.mark.parametrize(
    "how, code, reason",
    [("fail", 1, "exit code 1"), ("die", 137, "exit code 137: it was killed from outside")],
)
def test_a_trial_that_does_not(
    start: Callable[..., LocalTrial], how: str, code: int, reason: str
) -> None:
    outcome = ended(start(how))
    assert (outcome.state, outcome.exit_code, outcome.reason) == (FAILED, code, reason)


def test_stopping_signals_the_trainer_inside(
    start: Callable[..., LocalTrial], engine: Engine
) -> None:
    trial = start("hang")
    reached(trial.task.job_dir / "hangs")
    trial.stop(STOPPED_EARLY)
    outcome = ended(trial)
    assert (outcome.state, outcome.exit_code, engine.alive) == (STOPPED, 143, [])
    assert engine.made("kill") == 0


def test_a_container_that_ignores_signals_is_killed(
    start: Callable[..., LocalTrial], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_lock, "GRACE", 0.2)
    trial = start("ignore signals")
    reached(trial.task.job_dir / "hangs")
    trial.stop(STOPPED_EARLY)
    assert ended(trial).state == STOPPED
    assert engine.made("kill") == 1
    assert engine.alive == []


def test_a_trial_has_a_time_limit(start: Callable[..., LocalTrial], engine: Engine) -> None:
    outcome = ended(start("hang", time_limit=0.5))
    assert (outcome.state, outcome.reason) == (FAILED, "it ran for more than 0.5 s")
    assert engine.alive == []


def test_a_container_whose_client_dies_does_not_live_on(
    start: Callable[..., LocalTrial], engine: Engine
) -> None:
    trial = start("hang")
    reached(trial.task.job_dir / "hangs")
    trial.runner.process.kill()
    assert ended(trial).reason == "signal 9 ended it: it was killed from outside"
    assert not lives(engine)


def lives(engine: Engine) -> bool:
    """Whether any container still trains."""
    for name in engine.alive:
        try:
            stat = Path(f"/proc/{(engine.folder / name).read_text()}/stat").read_text()
        except FileNotFoundError:
            continue
        if stat.rpartition(")")[2].split()[0] != "Z":
            return True
    return False


@pytest.mark.parametrize("client_too", [False, True])
def test_a_container_that_was_left_behind_is_ended_first(
    start: Callable[..., LocalTrial], engine: Engine, client_too: bool
) -> None:
    left = start("hang")
    reached(left.task.job_dir / "hangs")
    if client_too:  # and with the tuner gone nobody would have looked after the container
        left.runner.process.kill()
        left.runner.process.wait()
    assert lives(engine)
    assert ended(start("succeed")).state == SUCCEEDED
    assert engine.made("stop") == 1 and not lives(engine)
    assert left.runner.process.wait(10) == (-signal.SIGKILL if client_too else 143)


def tune(*flags: str) -> int:
    space = str(ROOT / "templates" / "smoke.yaml")
    return main(["run", space, "--job-dir", "study", "--image", IMAGE, *flags])


def test_a_complete_study(
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tune("--max-trials", "1", "--candidates", "1") == 0
    told = capsys.readouterr()
    assert f"Each trial runs in a container of {IMAGE}." in told.out
    assert (engine.made("run"), engine.alive, told.err) == (5, [], "")
    assert "CPU s" not in told.out
    first = next(call for call in engine.calls if call[0] == "run")
    assert f"--job-dir {tmp_path}/study/1 --learning_rate=0.01" in " ".join(first)


@pytest.mark.parametrize(
    "flags, environment, message",
    [
        (("--image", "none:1"), {}, "does not have the image none:1: Error: No such image"),
        ((), {"CONTAINER_ENGINE": "no-such-engine"}, "There is no container engine no-such-engine"),
        (("--job-dir", "a:b"), {}, "has a colon in its path"),
    ],
)
def test_missing_programs_are_reported_before_trial_1(
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, ...],
    environment: Mapping[str, str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert tune(*flags) == 1
    told = capsys.readouterr()
    assert message in told.err
    assert (told.err.count("\n"), told.out) == (1, "")


@pytest.mark.parametrize("signals, code", [([2, 2], 130), ([15], 143)])
def test_ctrl_c_twice_ends_the_containers_too(
    engine: Engine, tmp_path: Path, signals: list[int], code: int
) -> None:
    engine.behave({"1": "hang"})
    process = subprocess.Popen(
        [sys.executable, "-m", "tuner", "run", str(ROOT / "templates" / "smoke.yaml"),
         "--job-dir", "study", "--image", IMAGE],
        cwd=tmp_path, env=cloudless_environment(), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    reached(tmp_path / "study" / "1" / "hangs")
    for number in signals:
        process.send_signal(number)
        time.sleep(0.3)
    assert process.wait(30) == code
    assert engine.alive == []


def test_an_engine_that_cannot_remove_a_container_is_reported(tmp_path: Path) -> None:
    stubborn = tmp_path / "engine"
    stubborn.write_text("#!/bin/sh\n[ $1 != rm ] || { echo no >&2; exit 1; }\n")
    stubborn.chmod(0o755)
    with pytest.raises(ContainerError, match="cannot be removed: no"):
        Containers(str(stubborn), IMAGE).remove(tmp_path)
