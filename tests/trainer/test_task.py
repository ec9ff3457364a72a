"""What a finished run leaves: its files and its output."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
import pytest

from tests.support.task_runs import contents, load, metrics_of
from trainer.contract import job_files
from trainer.contract.command_line import parse
from trainer.contract.settings import Batching, Hyperparameters


def test_a_run_leaves_every_artefact_and_nothing_else(finished_run: Any) -> None:
    assert {path.name for path in finished_run.job_dir.iterdir()} == set(job_files.ARTEFACTS)


def test_a_run_says_nothing_on_stderr(finished_run: Any) -> None:
    assert finished_run.process.stderr == ""


def test_a_run_without_a_terminal_says_five_plain_things(finished_run: Any) -> None:
    lines = finished_run.process.stdout.splitlines()
    starts = [line.split()[0] for line in lines if " steps/s" not in line]
    assert starts == ["A2C:", "mean_score", "watch", "play", "curves"]
    assert "\r" not in finished_run.process.stdout


def test_a_run_ends_by_telling_its_score(finished_run: Any, manifest: dict[str, Any]) -> None:
    assert f"mean_score {manifest['scores']['mean_score']:.1f} " in finished_run.process.stdout


def test_the_manifest_is_the_last_thing_written(finished_run: Any) -> None:
    times = {p.name: p.stat().st_mtime_ns for p in finished_run.job_dir.rglob("*") if p.is_file()}
    assert max(times, key=times.__getitem__) == job_files.MANIFEST


def test_the_video_comes_after_the_models_and_they_after_the_metrics(finished_run: Any) -> None:
    order = [job_files.METRICS, job_files.MODEL, job_files.RECORDING, job_files.MANIFEST]
    times = [(finished_run.job_dir / name).stat().st_mtime_ns for name in order]
    assert times == sorted(times)


def test_the_manifest_lists_every_other_file_as_it_is(
    finished_run: Any, manifest: dict[str, Any]
) -> None:
    files = contents(finished_run.job_dir)
    del files[job_files.MANIFEST]
    assert {file["name"]: (file["size"], file["sha256"]) for file in manifest["files"]} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items()
    }


def test_a_run_that_ended_well_has_no_problems(manifest: dict[str, Any]) -> None:
    assert (manifest["state"], manifest["problems"]) == ("succeeded", {})


def test_the_manifest_tells_every_score(manifest: dict[str, Any]) -> None:
    assert manifest["scores"].keys() == {
        "mean_score", "scores", "standard_deviation", "interquartile_mean", "interval",
        "interval_over", "worst_agent", "sampled_mean_score", "steps", "steps_to_solve",
        "stayed_solved", "diverged",
    }  # fmt: skip


def test_the_score_is_the_mean_over_all_agents(manifest: dict[str, Any]) -> None:
    scores = manifest["scores"]
    assert len(scores["scores"]) == 2
    assert scores["mean_score"] == pytest.approx(np.mean(scores["scores"]))


def test_every_agent_takes_its_steps_and_at_most_a_batch_more(manifest: dict[str, Any]) -> None:
    assert all(2000 <= steps < 2000 + 256 for steps in manifest["scores"]["steps"])


def test_the_saved_agent_is_the_best_of_the_last_validation(
    finished_run: Any, manifest: dict[str, Any]
) -> None:
    validation = [line for line in metrics_of(finished_run.job_dir) if not line["final"]]
    scores = validation[-1]["scores"]
    saved = manifest["saved_agent"]
    assert saved["validation_score"] == max(scores) == scores[saved["index"]]


def test_the_settings_hold_every_flag_and_where_it_came_from(finished_run: Any) -> None:
    settings = load(finished_run.job_dir / job_files.SETTINGS)
    command = parse([*finished_run.flags, "--job-dir", "job"])
    assert settings["settings"] == command.values
    assert settings["sources"] == command.sources
    assert settings["unused"] == []


def test_the_settings_tell_what_they_come_to(finished_run: Any) -> None:
    batching = Batching(Hyperparameters(), "a2c")
    assert load(finished_run.job_dir / job_files.SETTINGS)["effective"] == {
        "batch_size": batching.batch_size,
        "num_envs": batching.num_envs,
        "steps_per_update": batching.steps,
        "solved_at_score": 475.0,
    }


def test_the_settings_tell_command_versions_and_commit(finished_run: Any) -> None:
    settings = load(finished_run.job_dir / job_files.SETTINGS)
    given = " ".join(finished_run.flags)
    assert settings["command"] == f"python -m trainer.task {given} --job-dir job"
    assert {"python", "trainer", "gymnasium", "keras", "numpy"} < settings["versions"].keys()
    machine = settings["machine"]
    assert {"system", "architecture", "processor", "instructions", "cores"} <= machine.keys()
    if machine["architecture"] == "x86_64" and machine["system"] == "Linux":
        assert machine["processor"] and "sse2" in machine["instructions"].split()
    assert settings["git_commit"] is None or re.fullmatch("[0-9a-f]{40}", settings["git_commit"])


def test_every_evaluation_and_the_final_score_are_lines_of_the_metrics(
    finished_run: Any, manifest: dict[str, Any]
) -> None:
    lines = metrics_of(finished_run.job_dir)
    assert [(line["step"], line["final"]) for line in lines[:-1]] == [(1000, False), (2000, False)]
    final = lines[-1]
    assert (final.pop("step"), final.pop("final")) == (2048, True)
    assert final == manifest["scores"]


def test_an_evaluation_tells_scores_and_losses(finished_run: Any) -> None:
    assert metrics_of(finished_run.job_dir)[0].keys() == {
        "step", "final", "mean_score", "scores", "total_loss", "policy_loss", "value_loss",
        "entropy", "gradient_norm",
    }  # fmt: skip
