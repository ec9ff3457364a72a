"""What all tests share: a clean environment, the trainer as a command, and one finished run."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import hypertune.hypertune
import hypothesis
import pytest

# A machine that is busy with something else is no fault of what is tested.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

ROOT = Path(__file__).resolve().parent.parent
SUPPORT = ROOT / "tests" / "support"
CLOUD_PREFIXES = ("CLOUD_ML_", "AIP_", "GOOGLE_", "TF_CONFIG", "STORAGE_EMULATOR_HOST")
TIMEOUT = 180  # seconds; for a machine that is busy with something else
TINY_RUN = (
    *("--total_steps", "2000"),
    *("--evaluation_every", "1000"),
    *("--evaluation_episodes", "5"),
    *("--validation_episodes", "3"),
    *("--seeds", "2"),
)


class FinishedRun(NamedTuple):
    """A run that ended well; tests look at it and leave it as it is."""

    job_dir: Path
    flags: tuple[str, ...]
    process: subprocess.CompletedProcess[str]


def cloudless_environment() -> dict[str, str]:
    """This process' environment without what a cloud would have put there."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(CLOUD_PREFIXES)}
    return kept | {"PYTHONPATH": str(ROOT)}


def run_module(
    module: str, *arguments: str, env: Mapping[str, str] | None = None, cwd: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env=cloudless_environment() | dict(env or {}),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        stdin=subprocess.DEVNULL,
    )


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file share its fixtures in one process; those of the image take turns.

    A long test that needs no fixture of its file says so by a group of its own.
    """
    for item in items:
        if item.get_closest_marker("xdist_group"):
            continue
        group = (
            "container"
            if item.get_closest_marker("container")
            else item.path.relative_to(ROOT).as_posix()
        )
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def no_cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(CLOUD_PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setattr(
        hypertune.hypertune, "_DEFAULT_METRIC_PATH", str(tmp_path / "hypertune" / "output.metrics")
    )


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    log = logging.getLogger("trainer")
    before = log.handlers, log.level, log.propagate
    yield
    log.handlers, log.level, log.propagate = before


@pytest.fixture
def run_task(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`python -m trainer.task` with these flags; `env` adds to a cloudless environment."""

    def run(
        *flags: str, env: Mapping[str, str] | None = None, cwd: Path = tmp_path
    ) -> subprocess.CompletedProcess[str]:
        return run_module("trainer.task", *flags, env=env, cwd=cwd)

    return run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """Two agents, a few updates each."""
    folder = tmp_path_factory.mktemp("finished")
    process = run_module("trainer.task", *TINY_RUN, "--job-dir", "job", cwd=folder)
    assert process.returncode == 0, process.stderr
    return FinishedRun(folder / "job", TINY_RUN, process)
