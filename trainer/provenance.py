"""What a run is and where it comes from: the content of `hyperparameters.json`."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trainer
from trainer.config import Batching, Command

PACKAGES = ("gymnasium", "keras", "numpy", "tensorflow", "tensorflow-cpu")


def settings(
    command: Command, arguments: Sequence[str], solved_at_score: float | None
) -> dict[str, Any]:
    """Every flag with its value and source, what it comes to, and the versions behind it."""
    batching = Batching(command.hyperparameters, command.options.algorithm)
    return {
        "settings": command.values,
        "sources": dict(command.sources),
        "unused": command.unused,
        "effective": {
            "batch_size": batching.batch_size,
            "num_envs": batching.num_envs,
            "steps_per_update": batching.steps,
            "solved_at_score": solved_at_score,
        },
        "command": shlex.join(["python", "-m", "trainer.task", *arguments]),
        "versions": versions(),
        "git_commit": git_commit(),
    }


def differences(before: Mapping[str, Any], command: Command) -> list[str]:
    """The flags in which a run that was, as `settings` wrote it down, differs from `command`."""
    theirs, ours = before.get("settings"), command.values
    if not isinstance(theirs, dict):
        return sorted(ours)
    return [
        f"{_on_one_line(name)}={_on_one_line(theirs.get(name))} (now {ours.get(name)})"
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    ]


def _on_one_line(found: Any) -> str:
    """What a file says, fit for a sentence."""
    text = str(found)
    return text if text.isprintable() else ascii(text)


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "trainer": trainer.__version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """The commit of an image or a source checkout; None where the trainer came without one."""
    root = Path(__file__).resolve().parent.parent
    written = root / "trainer" / "COMMIT"  # by the Dockerfile: an image has no history
    if written.is_file():
        return written.read_text(encoding="utf-8").strip()
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", "HEAD"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
