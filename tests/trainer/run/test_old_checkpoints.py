"""A run begun by version 0.1.0 continues, and ends as that version would have ended it.

`begun_by_0.1.0` holds two of its checkpoints, and those of the same runs at their end. The arrays
of another processor may differ in their last bits.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import run_module
from trainer.contract.job_files import CHECKPOINT, MANIFEST, METRICS
from trainer.storage.checkpoint import read

BEGUN = Path(__file__).parent / "begun_by_0.1.0"
FLAGS = (
    *("--total_steps=2048", "--evaluation_every=1024", "--stop_at_score=none", "--seeds=2"),
    *("--evaluation_episodes=3", "--validation_episodes=2", "--hidden_neurons=4"),
    *("--batch_size=64", "--sync_every=0", "--video=false", "--job-dir=job"),
)


@pytest.mark.parametrize(
    "kind, flags, steps", [("compiled", (), 1024), ("gymnasium", ("--collector=gymnasium",), 1280)]
)
def test_a_run_of_the_first_version_continues_to_the_same_end(
    kind: str, flags: tuple[str, ...], steps: int, tmp_path: Path
) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / CHECKPOINT).write_bytes((BEGUN / f"{kind}.checkpoint").read_bytes())
    process = run_module("trainer.task", *FLAGS, *flags, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert f"Continuing from the checkpoint, at {steps:,} steps." in process.stdout
    ours = read((tmp_path / "job" / CHECKPOINT).read_bytes())
    theirs = read((BEGUN / f"{kind}.end").read_bytes())
    assert ours.arrays.keys() == theirs.arrays.keys()
    for name, array in theirs.arrays.items():
        assert ours.arrays[name].dtype == array.dtype
        np.testing.assert_allclose(ours.arrays[name], array, rtol=1e-3, atol=1e-5, err_msg=name)
    lines = [json.loads(line) for line in (tmp_path / "job" / METRICS).read_text().splitlines()]
    assert [line["step"] for line in lines] == [1024, 2048, 2048]
    manifest = json.loads((tmp_path / "job" / MANIFEST).read_text())
    assert manifest["restarts"] == 1
