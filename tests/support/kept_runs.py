"""Folders of runs that could not upload everything, and how `trainer.sync` refuses a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer import sync
from trainer.contract.job_files import CHECKPOINT, MANIFEST, MODEL, SETTINGS
from trainer.storage.job_dir import JobDir


def keep(folder: Path, *, finished: bool = True, seed: int = 0) -> Path:
    """A folder as a run keeps it that could not upload everything."""
    job_dir = JobDir(folder)
    job_dir.write_json(SETTINGS, {"settings": {"seed": seed}})
    job_dir.write_text(CHECKPOINT, "checkpoint")
    job_dir.write_text(MODEL, "model")
    if finished:
        job_dir.write_json(MANIFEST, {"state": "succeeded", "files": job_dir.files()})
    return folder


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence on stderr."""
    stderr = capsys.readouterr().err
    assert stderr.startswith("error: ") and stderr.count("\n") == 1, stderr
    return stderr


def refused(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        sync.main(arguments)
    assert end.value.code == 2
    return said(capsys)
