"""What a run is and where it comes from: the content of `hyperparameters.json`."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trainer
from trainer.contract.settings import Batching, Command, Hyperparameters, RunOptions

PACKAGES = ("gymnasium", "keras", "numpy", "tensorflow", "tensorflow-cpu")

# The values of newer settings in runs of versions that did not have them.
_NEW_SETTINGS = {
    field.name: field.default
    for kind in (Hyperparameters, RunOptions)
    for field in dataclasses.fields(kind)
    if field.name
    in (
        *("env_kwargs", "wrappers", "frame_stack", "max_episode_steps"),
        *("epochs", "minibatch_size", "clip_range"),
    )
}

# The processor's flags that affect how floats are summed.
INSTRUCTIONS = re.compile(r"s?sse|avx|fma|f16c|amx|asimd|sve|bf16")


def settings(
    command: Command, arguments: Sequence[str], solved_at_score: float | None
) -> dict[str, Any]:
    """Every flag with value and source, the effective settings, versions and machine."""
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
        "machine": machine(),
        "git_commit": git_commit(),
    }


def differences(before: Mapping[str, Any], command: Command) -> list[str]:
    """The flags in which an earlier run, as recorded by `settings`, differs from `command`."""
    theirs, ours = before.get("settings"), command.values
    if not isinstance(theirs, dict):
        return sorted(ours)
    theirs = _NEW_SETTINGS | theirs
    return [
        f"{_on_one_line(name)}={_on_one_line(theirs.get(name))} (now {ours.get(name)})"
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    ]


def _on_one_line(found: Any) -> str:
    """A value from a file, printable on one line."""
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


def machine() -> dict[str, Any]:
    """The hardware that results depend on, to the last bit: processor, instructions, GPUs."""
    found: dict[str, Any] = {
        "system": platform.system(),
        "architecture": platform.machine(),
        "libc": " ".join(platform.libc_ver()).strip(),
        "cores": os.cpu_count(),
    }
    processor = _processor(Path("/proc/cpuinfo"))
    names = ("vendor_id", "cpu family", "model", "model name")
    found["processor"] = " ".join(processor[name] for name in names if name in processor)
    found["processor"] = found["processor"] or platform.processor()
    words = processor.get("flags", processor.get("Features", "")).split()
    found["instructions"] = " ".join(sorted(filter(INSTRUCTIONS.match, words)))
    if cards := _lines(Path("/proc/driver/nvidia/gpus"), "*/information", "Model:"):
        found["gpus"] = ", ".join(cards)
    return found


def _processor(file: Path) -> dict[str, str]:
    """Linux' description of the first processor."""
    try:
        lines = file.read_text("utf-8", errors="replace").split("\n\n")[0].splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _lines(folder: Path, files: str, word: str) -> list[str]:
    """The values after a word in files."""
    try:
        texts = [path.read_text("utf-8", errors="replace") for path in sorted(folder.glob(files))]
    except OSError:
        return []
    lines = (line for text in texts for line in text.splitlines())
    return [line.removeprefix(word).strip() for line in lines if line.startswith(word)]


def git_commit() -> str | None:
    """The commit of an image or a source checkout; None if it is unknown."""
    root = Path(trainer.__file__).resolve().parent.parent
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
