"""Reads a run's files from its folder, complete or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trainer.contract import run_record
from trainer.contract.job_files import MANIFEST, METRICS, SETTINGS, json_object
from trainer.contract.run_record import Point, Scores
from trainer.storage import files


def read_json(file: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if it holds none."""
    return json_object(_content(file))


def read_settings(folder: Path) -> dict[str, Any]:
    """A run's `hyperparameters.json`; empty if it is missing or damaged."""
    return read_json(folder / SETTINGS) or {}


def read_scores(folder: Path, reported: float | None = None) -> Scores:
    """The scores of a finished run; only `reported` if it has none."""
    manifest = read_json(folder / MANIFEST) or {}
    return run_record.scores(manifest, read_settings(folder), reported)


def read_curve(folder: Path) -> list[Point]:
    """The reports in a run's `metrics.jsonl`."""
    return run_record.curve(_content(folder / METRICS))


def _content(file: Path) -> bytes:
    try:
        return files.read(file)
    except OSError:
        return b""
