"""`scripts/tune.sh` runs the tuner from any directory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, TIMEOUT, cloudless_environment

BUDGET = ("--max-trials", "1", "--candidates", "1")


def tune(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs it with this virtual environment."""
    stamp = Path(sys.prefix) / "requirements.stamp"
    if not stamp.exists():
        pytest.skip("needs the environment that scripts/setup_venv.sh makes")
    environment = cloudless_environment() | {"VENV": sys.prefix}
    del environment["PYTHONPATH"]
    return subprocess.run(
        [str(ROOT / "scripts" / "tune.sh"), *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        stdin=subprocess.DEVNULL,
    )


def test_without_arguments_it_searches_the_template_in_a_new_folder(tmp_path: Path) -> None:
    for name in ("tuner", "trainer"):  # not ours
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit(9)")
    short = "--trainer-args=--total_steps=512 --evaluation_episodes=1 --video=false"
    ended = tune(tmp_path, *BUDGET, short)
    assert (ended.returncode, ended.stderr) == (0, "")
    (study,) = (tmp_path / "runs").glob("tune-*")
    flags = json.loads((study / "best.json").read_text())["flags"]
    assert {flag.split("=")[0] for flag in flags} >= {"--gamma", "--hidden_neurons"}


def test_paths_are_relative_to_the_user_s_directory(tmp_path: Path) -> None:
    template = (ROOT / "templates" / "smoke.yaml").read_text(encoding="utf-8")
    (tmp_path / "space.yaml").write_text(template.replace("minValue: 0.001", "minValue: 0.0"))
    ended = tune(tmp_path, "space.yaml", "--job-dir=here")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "space.yaml:26:17: error: learning_rate" in ended.stderr
    assert not (tmp_path / "runs").exists()


def test_its_trials_run_our_trainer_from_any_directory(tmp_path: Path) -> None:
    (tmp_path / "trainer.py").write_text("raise SystemExit(9)")  # not ours
    words = ("--trainer-args=--environment=NoSuch-v0", "--job-dir", "here")
    ended = tune(tmp_path, str(ROOT / "templates" / "smoke.yaml"), *BUDGET, *words)
    assert ended.returncode == 1
    assert "error: The trainer refuses the command of trial 1: " in ended.stderr
    assert "NoSuch-v0" in ended.stderr
