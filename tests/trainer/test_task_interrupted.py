"""A run on a terminal that gets Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.task_runs import metrics_of, weights_of
from trainer.contract import job_files
from trainer.storage import checkpoint

# Keras' variables do not know NumPy 2's `copy` keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Interrupted(NamedTuple):
    """A long run on a terminal that got Ctrl-C after its first evaluation."""

    job_dir: Path
    returncode: int
    screen: str
    stderr: str


@pytest.fixture
def python_listens_to_interrupts() -> Iterator[None]:
    """A child of a process that ignores SIGINT, say under nohup, would ignore it as well."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def read_screen(screen: int) -> str:
    """What has appeared on a terminal so far, without waiting for more."""
    shown = b""
    while select.select([screen], [], [], 0)[0]:
        try:
            part = os.read(screen, 65536)
        except OSError:  # Linux' way to say that nobody writes any more
            break
        if not part:
            break
        shown += part
    return shown.decode()


def interrupt_a_run(folder: Path) -> Interrupted:
    from tests.conftest import TIMEOUT, cloudless_environment

    flags = ["--total_steps=1e12", "--stop_at_score=none", "--evaluation_every=2000"]
    screen, device = pty.openpty()
    termios.tcsetwinsize(device, (24, 120))
    process = subprocess.Popen(
        [sys.executable, "-m", "trainer.task", *flags, "--job_dir", "job"],
        cwd=folder,
        env=cloudless_environment(),
        stdin=subprocess.DEVNULL,
        stdout=device,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(device)
    shown, give_up = "", time.monotonic() + TIMEOUT
    try:
        metrics = folder / "job" / job_files.METRICS
        while not (metrics.exists() and metrics.stat().st_size):
            assert process.poll() is None
            assert time.monotonic() < give_up
            shown += read_screen(screen)
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        shown += read_screen(screen)
        stderr = process.communicate(timeout=TIMEOUT)[1]
        shown += read_screen(screen)
    finally:
        process.kill()
        process.wait()
        os.close(screen)
    return Interrupted(folder / "job", process.returncode, shown, stderr)


@pytest.fixture(scope="module")
def interruptions() -> dict[str, Interrupted]:
    return {}


@pytest.fixture
def interrupted(
    interruptions: dict[str, Interrupted],
    python_listens_to_interrupts: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Interrupted:
    """One run for all the tests below."""
    if not interruptions:
        interruptions["one"] = interrupt_a_run(tmp_path_factory.mktemp("interrupted"))
    return interruptions["one"]


def test_an_interrupted_run_ends_with_code_130(interrupted: Interrupted) -> None:
    assert interrupted.returncode == 130


def test_an_interrupted_run_keeps_what_there_is(interrupted: Interrupted) -> None:
    assert len(metrics_of(interrupted.job_dir)) > 0
    saved = checkpoint.read((interrupted.job_dir / job_files.CHECKPOINT).read_bytes())
    assert saved.arrays["progress.steps"].min() > 0


def test_an_interrupted_run_does_not_look_complete(interrupted: Interrupted) -> None:
    assert not (interrupted.job_dir / job_files.MANIFEST).exists()


def test_the_models_of_an_interrupted_run_can_be_recovered(
    interrupted: Interrupted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from trainer import recover

    assert recover.main([str(interrupted.job_dir), "--output", str(tmp_path)]) == 0
    assert "holds model.keras and saved_model as of" in capsys.readouterr().out
    assert len(weights_of(tmp_path)) > 0
    assert (tmp_path / job_files.SAVED_MODEL / "saved_model.pb").is_file()


def test_an_interrupted_run_says_so_without_a_traceback(interrupted: Interrupted) -> None:
    lines = interrupted.stderr.splitlines()
    assert lines
    assert all(line.startswith("WARNING: ") for line in lines)


def test_a_terminal_shows_steps_speed_score_and_time_left(interrupted: Interrupted) -> None:
    assert re.search(r"/1\.00T \[\S+<.*steps/s.*score \d", interrupted.screen)
