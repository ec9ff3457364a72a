"""Machine faults are distinguished from failures of a trial."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, cloudless_environment
from tests.support.waiting import wait_until
from trainer.storage import file_lock
from tuner.execution import machine_faults
from tuner.execution.machine_faults import find


def test_the_trainers_own_sentence_for_a_locked_folder_is_known(tmp_path: Path) -> None:
    held = file_lock.lock_folder(tmp_path)
    assert held is not None
    with pytest.raises(file_lock.Taken) as raised:
        file_lock.lock_folder(tmp_path)
    os.close(held)
    assert find(1, [f"ERROR: {raised.value}"]) == machine_faults.LOCKED


@pytest.mark.parametrize(
    "code, line, fault",
    [
        (1, f"The run could not go on: {os.strerror(errno.ENOSPC)}.", machine_faults.NO_ROOM),
        (1, f"The run could not go on: {os.strerror(errno.EFBIG)}.", machine_faults.NO_ROOM),
        (1, "MemoryError", machine_faults.NO_MEMORY),
        (1, "Bucket b cannot be reached (timeout).", machine_faults.NO_NETWORK),
        (-signal.SIGKILL, "", machine_faults.KILLED),
        (128 + signal.SIGTERM, "", machine_faults.KILLED),
        (-signal.SIGSEGV, "", ""),
        (1, "ValueError: no such layer", ""),
        (2, "`gamma` must be good", ""),
    ],
)
def test_the_machine_is_to_blame_for(code: int, line: str, fault: str) -> None:
    assert find(code, [line]) == fault


SLOW = "import pathlib, time; pathlib.Path('runs').touch(); time.sleep(60)"


def attached(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tuner.execution.attached", sys.executable, *words],
        cwd=folder,
        env=cloudless_environment() | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
    )


def test_an_attached_command_ends_when_its_starter_is_gone(tmp_path: Path) -> None:
    process = attached(tmp_path, "-c", SLOW)
    wait_until((tmp_path / "runs").exists)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 128 + signal.SIGTERM


def test_an_attached_command_hands_on_its_exit_code(tmp_path: Path) -> None:
    process = attached(tmp_path, "-c", "raise SystemExit(3)")
    assert process.wait(30) == 3
    assert process.stdin is not None
    process.stdin.close()
