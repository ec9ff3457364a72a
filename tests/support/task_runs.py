"""What `python -m trainer.task` leaves in a job dir, and how it refuses a command."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trainer.contract import job_files

Process = subprocess.CompletedProcess[str]
RunTask = Callable[..., Process]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def load(path: Path) -> dict[str, Any]:
    """An object from a file of strict JSON, which knows no NaN."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    content = json.loads(path.read_text(), parse_constant=refuse)
    assert isinstance(content, dict)
    return content


def metrics_of(job_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (job_dir / job_files.METRICS).read_text().splitlines()]


def weights_of(job_dir: Path) -> list[np.ndarray[Any, Any]]:
    import keras  # takes seconds, and the other readers do not need it

    return list(keras.saving.load_model(job_dir / job_files.MODEL, safe_mode=True).get_weights())


def assert_refused(process: Process) -> str:
    """The one line that a bad command ends with."""
    assert process.returncode == 2
    assert re.fullmatch(r"[^\n]+\n", process.stderr), process.stderr
    return process.stderr
