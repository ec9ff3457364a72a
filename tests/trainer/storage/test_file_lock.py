"""Locks on folders and files: held by one process, and given back when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import cloudless_environment
from tests.support.cloud_runs import started
from trainer.storage.file_lock import NoFileLocks, Taken, is_locked, lock_folder

HOLD = """
import sys, time
from trainer.storage.file_lock import lock_folder
lock_folder(__import__("pathlib").Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(600)
"""


def locks(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"


def test_a_folder_is_locked_against_other_processes_until_its_owner_dies(tmp_path: Path) -> None:
    command = ("-c", HOLD, str(tmp_path))
    with started(*command, env=cloudless_environment(), cwd=tmp_path) as process:
        locks(process)
        with pytest.raises(Taken, match=f"Another run works in {tmp_path}"):
            lock_folder(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        descriptor = lock_folder(tmp_path)
    assert descriptor is not None
    os.close(descriptor)


def test_a_lock_is_given_back_and_leaves_no_file(tmp_path: Path) -> None:
    for _ in range(2):
        descriptor = lock_folder(tmp_path)
        assert descriptor is not None
        with pytest.raises(Taken):
            lock_folder(tmp_path)
        os.close(descriptor)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_a_system_without_locks_is_taken_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def flock(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert lock_folder(tmp_path) is None


def test_a_platform_without_locks_is_told_when_one_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(NoFileLocks, match="This platform has no file locks"):
        lock_folder(tmp_path)


def test_a_locked_file_is_seen_as_such(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "missing")
    descriptor = lock_folder(tmp_path)
    assert descriptor is not None and is_locked(tmp_path)
    os.close(descriptor)
    assert not is_locked(tmp_path)
