"""The image under test, and how to run it with whatever takes docker's arguments."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

TAG = "a2c-cloud-trainer:test"  # kept between sessions, and with it the layers below
BUILD_TIMEOUT, TIMEOUT = 1200, 180  # seconds
TINY_RUN = ("--total_steps=2000", "--evaluation_every=1000", "--evaluation_episodes=5")

# What an image may be deprived of on a machine that trusts it with nothing.
HARDENED = (
    *("--read-only", "--tmpfs", "/tmp"),
    *("--cap-drop", "all", "--security-opt", "no-new-privileges"),
    *("--network", "none"),
)


def someone() -> str:
    """A user and group that are not root's, and may own folders that this process makes."""
    return f"{os.getuid()}:{os.getgid()}" if os.getuid() else "1000:1000"


def engine() -> str:
    """The engine as a command; skips where none is at hand, or its daemon does not answer."""
    name = os.environ.get("CONTAINER_ENGINE", "docker")
    found = shutil.which(name)
    if found is None or subprocess.run([found, "info"], capture_output=True).returncode:
        pytest.skip(f"needs a container engine: {name} does not answer; set CONTAINER_ENGINE")
    return os.path.abspath(found)


def ask(*arguments: str) -> str:
    """What the engine answers to a question that it must know."""
    answer = subprocess.run(
        [engine(), *arguments], capture_output=True, text=True, timeout=TIMEOUT, check=True
    )
    return answer.stdout.strip()


def build(context: Path, tag: str) -> None:
    """Builds the Dockerfile in `context` as it is."""
    built = subprocess.run(
        [engine(), "build", "--tag", tag, str(context)],
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT,
    )
    assert built.returncode == 0, built.stderr


@cache
def image() -> str:
    """The image that `scripts/build_image.sh` makes of this checkout; its id, for tags move."""
    built = subprocess.run(
        [str(ROOT / "scripts" / "build_image.sh"), TAG],
        env={**os.environ, "CONTAINER_ENGINE": engine()},
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT,
    )
    assert built.returncode == 0, built.stderr
    return ask("image", "inspect", "--format", "{{.Id}}", TAG)


def run(
    *arguments: str,
    options: Sequence[str] = (),
    of: str | None = None,
    timeout: float = TIMEOUT,
) -> subprocess.CompletedProcess[str]:
    """Runs the image with these arguments; no container outlives the call."""
    name = f"trainer-test-{uuid.uuid4().hex[:8]}"
    command = [engine(), "run", "--rm", "--name", name, *options, of or image(), *arguments]
    try:
        return subprocess.run(
            command,
            cwd=tempfile.gettempdir(),  # where podman leaves a file when memory runs out
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        subprocess.run([engine(), "kill", name], capture_output=True)
        raise


@contextlib.contextmanager
def running(*arguments: str, options: Sequence[str] = ()) -> Iterator[str]:
    """The name of a container that runs the image with these arguments, and is then removed."""
    name = f"trainer-test-{uuid.uuid4().hex[:8]}"
    ask("run", "--detach", "--name", name, *options, image(), *arguments)
    try:
        yield name
    finally:
        ask("rm", "--force", name)


def shell(script: str, options: Sequence[str] = (), of: str | None = None) -> str:
    """What a shell script says inside the image."""
    ended = run("-c", script, options=("--entrypoint", "sh", *options), of=of)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
