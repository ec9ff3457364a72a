"""The command `python -m trainer.export`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import TINY_RUN, FinishedRun, run_module
from trainer import export
from trainer.contract.errors import BadCommand, Error

# Of Keras, when it reads variables.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def job_dir(finished_run: FinishedRun, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run.job_dir, tmp_path / "job"))


def test_it_writes_the_policy_and_its_card_beside_the_run(job_dir: Path) -> None:
    ended = run_module("trainer.export", "job", "--to", "c, numpy", cwd=job_dir.parent)
    assert (ended.returncode, ended.stderr) == (0, "")
    names = ["policy.h", "policy.py", "policy.json", "MODEL_CARD.md"]
    assert ended.stdout.split() == [f"job/exports/{name}" for name in names]
    assert sorted(path.name for path in (job_dir / "exports").iterdir()) == sorted(names)


def test_the_card_has_the_facts_of_the_run(job_dir: Path, tmp_path: Path) -> None:
    export.export(str(job_dir), "c", tmp_path / "out")
    text = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert text.startswith("# A2C policy for CartPole-v1\n")
    assert "acting greedily over 5 fresh episodes each." in text
    assert "python -m trainer.task --total_steps 2000" in text


def test_a_record_that_is_damaged_costs_facts_only(job_dir: Path) -> None:
    (job_dir / "manifest.json").write_text('{"scores": {"mean_score": 1e999, "interval": 3}}')
    (job_dir / "hyperparameters.json").write_text('{"settings": [1]}')
    export.export(str(job_dir), "c")
    assert "The run's record has no final score." in (
        (job_dir / "exports" / "MODEL_CARD.md").read_text()
    )


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCommand, match=r"holds no model\.keras"):
        export.export(str(tmp_path), "c")


def test_a_model_of_another_kind_is_refused(job_dir: Path) -> None:
    (job_dir / "model.keras").write_bytes(np.random.default_rng(0).bytes(1000))
    with pytest.raises(Error, match="holds no policy: it cannot be read as a Keras model"):
        export.export(str(job_dir), "c")


def test_a_place_that_cannot_be_written_to_is_named(job_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Error, match=r"file/out cannot be written to: Not a directory"):
        export.export(str(job_dir), "c", tmp_path / "file" / "out")


def test_a_run_may_leave_exports_itself(tmp_path: Path) -> None:
    flags = [*TINY_RUN, "--video=false", "--export=numpy,c", "--job-dir=job"]
    ended = run_module("trainer.task", *flags, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    names = {"policy.h", "policy.py", "policy.json", "MODEL_CARD.md"}
    assert {path.name for path in (tmp_path / "job" / "exports").iterdir()} == names
    listed = json.loads((tmp_path / "job" / "manifest.json").read_bytes())["files"]
    assert {f"exports/{name}" for name in names} <= {file["name"] for file in listed}
    card = (tmp_path / "job" / "exports" / "MODEL_CARD.md").read_text()
    assert "Mean return" in card


def test_an_unknown_format_of_a_run_is_refused_before_training(tmp_path: Path) -> None:
    ended = run_module("trainer.task", "--export=onxx", "--job-dir=job", cwd=tmp_path)
    assert ended.returncode == 2
    assert "onxx is not an export format. The formats are onnx, tflite," in ended.stderr


def test_an_unknown_format_ends_with_2_and_one_sentence(tmp_path: Path) -> None:
    ended = run_module("trainer.export", "job", "--to", "onxx", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: onxx is not an export format. The formats are onnx,")
