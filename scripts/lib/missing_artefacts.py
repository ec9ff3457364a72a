"""Checks the files of a trial, and names what is missing or broken.

    python - JOB_DIR METRIC_FILE < missing_artefacts.py

It runs inside the image, so it uses only the standard library.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path


def metric(file: Path) -> bool:
    """Whether the last report is a finite score of trial 1."""
    last = json.loads(file.read_text(encoding="utf-8").splitlines()[-1])
    return last["trial"] == "1" and math.isfinite(float(last["mean_score"]))


def policy(file: Path) -> bool:
    """Whether it has a policy from the start and one from the end of training."""
    snapshots = json.loads(file.read_text(encoding="utf-8"))["snapshots"]
    return snapshots[0]["label"] == "start" and snapshots[-1]["label"] == "end"


def manifest(job: Path) -> bool:
    """Whether the run succeeded, and every file has the manifest's checksum."""
    content = json.loads((job / "manifest.json").read_text(encoding="utf-8"))
    return (
        content["state"] == "succeeded"
        and not content["problems"]
        and all(
            hashlib.sha256((job / file["name"]).read_bytes()).hexdigest() == file["sha256"]
            for file in content["files"]
        )
    )


def missing(job: Path, metric_file: Path) -> list[str]:
    """The names of the checks that fail."""
    checks: dict[str, Callable[[], bool]] = {
        "the metric, mean_score in CLOUD_ML_HP_METRIC_FILE": lambda: metric(metric_file),
        "the model, model.keras": lambda: (job / "model.keras").read_bytes()[:2] == b"PK",
        "the model for serving, saved_model": lambda: (
            (job / "saved_model" / "saved_model.pb").stat().st_size > 0
        ),
        "the policy, policy.json": lambda: policy(job / "policy.json"),
        "the video, recording.mp4": lambda: (job / "recording.mp4").read_bytes()[4:8] == b"ftyp",
        "the manifest, manifest.json: state, files and checksums": lambda: manifest(job),
    }
    return [name for name, check in checks.items() if not holds(check)]


def holds(check: Callable[[], bool]) -> bool:
    """The result of `check`; false if its file is missing or unreadable."""
    try:
        return check()
    except (OSError, ValueError, KeyError, IndexError):
        return False


if __name__ == "__main__":
    if found := missing(*map(Path, sys.argv[1:])):
        sys.exit("missing or broken: " + "; ".join(found))
