"""`python -m tuner run`, from a file to best.json, with a stand-in for the trainer."""

from __future__ import annotations

import json

import pytest

from tests.support.workspaces import PLAIN, TEMPLATES, Workspace
from tuner.__main__ import main
from tuner.cloud import jobs
from tuner.spec.loader import load


def test_a_study_from_search_to_test(workspace: Workspace) -> None:
    ended = workspace.run("--max-trials", "3", "--candidates", "2")
    assert (ended.code, ended.err) == (0, "")
    warning, *lines = ended.out.splitlines()
    assert "warning: 3 trials find little" in warning
    assert lines[0] == (
        "tune: 3 trials of 2 seeds, 1 at a time, the best iqm of mean_score; everything goes to"
        " study"
    )
    assert lines[1].startswith("trial 1: 89.5 [89.0, 90.0] after")
    assert any(line.startswith("winner   trial ") for line in lines)
    first = workspace.starts("1")[0]
    args = load((TEMPLATES / "smoke.yaml").read_bytes(), "f").job.args
    assert first == [
        *args, "--seed=0", "--seeds=2", "--job-dir", "study/1", "--learning_rate=0.01"
    ]  # fmt: skip
    best = workspace.json("best.json")
    # Tuned, confirmed and tested on seeds that have nothing in common.
    assert best["seeds"] == {
        "tuning": 0,
        "confirming with 5 of 10 seeds": 1,
        "confirming with the other 5 of 10 seeds": 2,
        f"testing trial {best['trial']} with 20 seeds": 3,
    }
    defaults = workspace.starts("test-3/defaults")[0]
    assert defaults == [*args, "--seed=3", "--seeds=20", "--job-dir", "study/test-3/defaults"]
    assert best["test"]["winner"]["agents"] == 20
    # The stand-in's agents lose a point each: 2 of them have a mean of -0.5, 20 one of -9.5.
    assert best["optimism_gap"] == pytest.approx(9.0)
    # The second of the two candidates has clearly lost by the first half of the fresh seeds.
    assert "confirm: 1 trial on 5 more; 1 of 2 have clearly lost\n" in ended.out
    assert sorted(found["agents"] for found in best["confirm"].values()) == [5, 10]
    assert best["environment_steps"] == 1000 * (3 * 2 + 2 * 5 + 5 + 2 * 20)
    assert best["cpu_seconds"] > 0
    assert (workspace.study / "events.out.tfevents.study").exists()
    # Each trial's command is an artefact; the stand-in makes neither videos nor curves.
    assert len(list((workspace.study / "artifacts").iterdir())) == 3
    assert best["reproduce"]["seed"] == 3 and best["reproduce"]["curve_sha256"] is None
    job = jobs.ai_platform_job(workspace.json("study.json"))
    assert (job.name, job.state, len(job.trials)) == ("study", "SUCCEEDED", 3)
    assert all(trial.state == "SUCCEEDED" and trial.step == 20 for trial in job.trials)


def test_the_same_command_continues_and_repeats_nothing(workspace: Workspace) -> None:
    workspace.run("--max-trials", "2", "--candidates", "1")
    before = workspace.json("study.json")["trainingOutput"]["trials"]
    ended = workspace.run("--max-trials", "4", "--candidates", "1")
    assert "2 trials have ended before." in ended.out
    assert workspace.json("study.json")["trainingOutput"]["trials"][:2] == before
    assert [len(workspace.starts(str(n))) for n in (1, 2, 3, 4)] == [1, 1, 1, 1]


def test_candidates_that_are_close_are_both_confirmed_to_the_end_and_only_once(
    workspace: Workspace,
) -> None:
    # Rates 0.01 and 0.012 differ by two points, and agents by four.
    workspace.write(PLAIN.replace("minValue: 0.001", "minValue: 0.01").replace("0.05", "0.012"))
    flags = ("--max-trials", "2", "--candidates", "2")
    workspace.behave({"confirm 1": "hang", "confirm 2": "hang"})
    process = workspace.start(*flags)
    workspace.wait_for(lambda: any(workspace.study.glob("confirm-1/*/hangs")))
    process.terminate()
    process.communicate(timeout=30)
    workspace.behave({})
    ended = workspace.run(*flags)
    assert "confirm: 2 trials on 5 more; 0 of 2 have clearly lost\n" in ended.out
    ours = {word for n in (1, 2) for words in workspace.starts(f"confirm-1/{n}") for word in words}
    rest = {word for n in (1, 2) for words in workspace.starts(f"confirm-2/{n}") for word in words}
    assert {"--seed=1", "--seeds=5"} <= ours and {"--seed=2", "--seeds=5"} <= rest
    assert "--video=false" in ours & rest, "nobody watches them"
    filmed = [word for part in ("1", "2", "test-3/winner") for word in workspace.starts(part)[0]]
    assert not any(word.startswith("--video") for word in filmed)
    best = workspace.json("best.json")
    assert [found["agents"] for found in best["confirm"].values()] == [10, 10]
    workspace.run(*flags)
    assert workspace.json("best.json")["confirm"] == best["confirm"]


def test_a_trial_that_cannot_win_is_stopped(workspace: Workspace) -> None:
    workspace.write((TEMPLATES / "smoke.yaml").read_text(encoding="utf-8"))
    workspace.behave({"2": "do badly"})
    ended = workspace.run("--max-trials", "3", "--candidates", "1")
    assert ended.code == 0
    assert "STOPPED (the median rule stopped it)" in ended.out
    assert workspace.json("study.json")["trainingOutput"]["trials"][1]["isTrialStoppedEarly"]


def test_a_file_for_vertex_is_run_and_answered_in_its_dialect(workspace: Workspace) -> None:
    service = ("--image", "gcr.io/p/a2c:1", "--job-dir", "gs://bucket/job")
    assert main(["vertex", "space.yaml", *service, "--output", "space.yaml"]) == 0
    assert workspace.run("--max-trials", "2", "--candidates", "1").code == 0
    job = jobs.vertex_job(workspace.json("study.json"))
    assert [(trial.state, trial.step) for trial in job.trials] == [("SUCCEEDED", 20)] * 2


def test_a_grid_ends_with_its_last_point(workspace: Workspace) -> None:
    grid = PLAIN.replace("maxTrials: 4", "maxTrials: 9\n    algorithm: GRID_SEARCH").replace(
        "type: DOUBLE\n      minValue: 0.001\n      maxValue: 0.05\n"
        "      scaleType: UNIT_LOG_SCALE",
        "type: DISCRETE\n      discreteValues: [0.005, 0.02, 0.05]",
    )
    workspace.write(grid)
    assert workspace.run("--candidates", "1").code == 0
    assert workspace.json("best.json")["flags"] == ["--learning_rate=0.02"]
    trials = workspace.json("study.json")["trainingOutput"]["trials"]
    rates = [trial["hyperparameters"]["learning_rate"] for trial in trials]
    assert rates[0] == "0.005", "the nearest to the trainer's default"
    assert sorted(rates) == ["0.005", "0.02", "0.05"]


def test_a_trainer_without_a_manifest_is_judged_by_its_metric(workspace: Workspace) -> None:
    workspace.behave({"all": "leave no manifest"})
    assert workspace.run("--max-trials", "2", "--candidates", "1").code == 0
    assert workspace.json("best.json")["test"]["winner"]["agents"] == 1


def test_the_warnings_of_lint_are_printed_for_what_the_command_asks(workspace: Workspace) -> None:
    workspace.write(PLAIN.replace("  - --seeds=2\n", "").replace("maxTrials: 4", "maxTrials: 8"))
    ended = workspace.run("--max-trials", "2", "--seeds", "2")
    assert (ended.code, ended.err) == (0, "")
    assert [line for line in ended.out.splitlines() if ": warning: " in line] == [
        "space.yaml:17:16: warning: 2 trials find little among 1 parameter. Write 4 or more, four"
        " per parameter, or tune fewer."
    ]


@pytest.mark.faults
def test_a_real_study_from_search_to_test(workspace: Workspace) -> None:
    workspace.write((TEMPLATES / "smoke.yaml").read_text(encoding="utf-8"))
    process = workspace.start("--max-trials", "2", "--candidates", "1", fake="")
    out, err = process.communicate(timeout=400)
    assert (process.returncode, err) == (0, ""), out
    best = workspace.json("best.json")
    assert best["test"]["winner"]["agents"] == best["test"]["defaults"]["agents"] == 20
    assert 0 < best["test"]["winner"]["interquartile_mean"] <= 500
    assert best["environment_steps"] >= 2000 * (2 * 2 + 10 + 2 * 20)
    assert best["trials_until_solved"] is None
    trials = jobs.ai_platform_job(workspace.json("study.json")).trials
    # Early stopping is on: the second may lose against the first.
    assert trials[0].state == "SUCCEEDED" and trials[1].state.startswith("SUCCEEDED")
    trial = best["trial"]
    for folder in (
        "1",
        f"confirm-1/{trial}",
        f"confirm-2/{trial}",
        "test-3/winner",
        "test-3/defaults",
    ):
        assert json.loads((workspace.study / folder / "manifest.json").read_bytes())["scores"]
        filmed = (workspace.study / folder / "recording.mp4").exists()
        assert filmed is not folder.startswith("confirm")
