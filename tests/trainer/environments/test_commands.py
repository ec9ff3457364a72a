"""`python -m trainer.task` with environments of the user's own, some of which fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

QUICK = (
    *("--total_steps", "512", "--evaluation_every", "512", "--batch_size", "128"),
    *("--evaluation_episodes", "2", "--validation_episodes", "2", "--hidden_neurons", "4"),
    *("--stop_at_score", "none", "--max_episode_steps", "40"),
)


def task(
    environment: str, job_dir: Path, *flags: str, cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trainer.task", "--environment", environment, *QUICK]
    return subprocess.run(
        [*command, "--job_dir", str(job_dir), *flags],
        capture_output=True, text=True, timeout=120, cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("flags", [(), ("--env_workers", "2")], ids=["local", "workers"])
def test_a_fault_ends_in_a_sentence_a_checkpoint_and_a_manifest(
    flags: tuple[str, ...], tmp_path: Path
) -> None:
    done = task("tests.support.zoo:Raises", tmp_path, "--video=false", *flags)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Raises failed in step(" in said
    assert "ConnectionResetError: [Errno 104] the simulator hung up." in said
    assert 'raise ConnectionResetError(104, "the simulator hung up")' in said
    assert "Traceback" not in said
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["state"] == "failed"
    assert "the simulator hung up" in manifest["problems"]["environment"]
    assert (tmp_path / "checkpoint").is_file()


def test_an_environment_from_the_users_own_folder_goes_all_the_way(tmp_path: Path) -> None:
    source = (ROOT / "tests" / "support" / "zoo.py").read_text()
    (tmp_path / "my_zoo.py").write_text(
        source + "\nimport atexit\natexit.register(lambda: print(Counted.made, Counted.closed))\n"
    )
    done = task("my_zoo:Counted", tmp_path / "job", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    made, closed = map(int, done.stdout.splitlines()[-1].split())
    assert made == closed == 2 + 2 + 2 + 1  # looks, training, evaluation, the video
    manifest = json.loads((tmp_path / "job" / "manifest.json").read_text())
    assert (manifest["state"], manifest["problems"]) == ("succeeded", {})


def test_threads_that_nothing_ends_do_not_keep_the_process(tmp_path: Path) -> None:
    done = task("tests.support.zoo:Restless", tmp_path, "--video=false")
    assert done.returncode == 0, done.stdout + done.stderr


def run_module(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", name, *arguments],
        capture_output=True, text=True, timeout=120, cwd=ROOT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def wrapped_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an environment and a wrapper from a module, with arguments and stacked frames."""
    job_dir = tmp_path_factory.mktemp("wrapped")
    done = task(
        "tests.support.zoo:make_long_line", job_dir, "--video=false", "--frame_stack=2",
        '--env_kwargs={"size": 6}', "--wrappers=tests.support.zoo:Doubled",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return job_dir


@pytest.mark.parametrize("module", ["trainer.play", "trainer.recover"])
def test_code_that_a_job_dir_names_runs_only_if_the_command_names_it_too(
    module: str, wrapped_run: Path, tmp_path: Path
) -> None:
    output = ("--output", str(tmp_path / "output.mp4"))
    named: tuple[str, ...] = ()
    for flag in ("--environment=tests.support.zoo:make_long_line",
                 "--wrappers=tests.support.zoo:Doubled"):  # fmt: skip
        done = run_module(module, str(wrapped_run), *output, *named)
        assert done.returncode == 2, done.stdout + done.stderr
        name, _, value = flag.removeprefix("--").partition("=")
        assert f"The run's `{name}` is {value}. Its code is only imported if" in done.stderr
        named = (*named, flag)
    done = run_module(module, str(wrapped_run), *output, *named)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "output.mp4").exists()
