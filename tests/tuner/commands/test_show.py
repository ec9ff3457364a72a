"""`python -m tuner show`: what it says of studies and runs in whatever state they are."""

from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tuner.test_main import tuner
from trainer.contract.run_record import Point
from tuner.commands.show import job_dir
from tuner.outputs import plot
from tuner.outputs.terminal import Screen

PIPE = Screen(79, False, False)
METRICS = (
    '{"step": 10, "scores": [1.0, 3.0], "time": 1}\n{"step": 20, "scores": [2.0, 9.0]}\n'
    '{"step": 20, "final": true, "scores": [90.0, null], "mean_score": 90.0}\n'
)


def run(folder: Path, *scores: float) -> None:
    folder.mkdir(parents=True)
    content = {"state": "succeeded", "scores": {"scores": scores}}
    (folder / "manifest.json").write_text(json.dumps(content))
    (folder / "metrics.jsonl").write_text(METRICS)


def trial(number: int, state: str, score: float | None = None, reason: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {
        "trialId": str(number), "state": state, "hyperparameters": {"gamma": f"0.9{number}"}
    }  # fmt: skip
    if score is not None:
        found["finalMetric"] = {"trainingStep": "20", "objectiveValue": score}
    return found | ({"infeasibleReason": reason} if reason else {})


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Trial 2 is the best; trial 3 failed; trial 4 runs."""
    folder = tmp_path / "study"
    run(folder / "1", 10.0, 20.0)
    run(folder / "2", 90.0, 90.0)
    (folder / "3").mkdir()
    (folder / "4").mkdir()
    trials = [
        trial(1, "SUCCEEDED", 15.0), trial(2, "SUCCEEDED", 90.0),
        trial(3, "FAILED", reason="exit code 1"), trial(4, "RUNNING"),
    ]  # fmt: skip
    content = {
        "jobId": "study", "state": "RUNNING", "objective": "iqm",
        "trainingInput": {"hyperparameters": {"goal": "MAXIMIZE"}},
        "trainingOutput": {"trials": trials},
    }  # fmt: skip
    (folder / "study.json").write_text(json.dumps(content))
    return folder


def finish(study: Path) -> None:
    found = {"interquartile_mean": 80.0, "interval": [70.0, 85.0], "agents": 20}
    best = {
        "trial": 1, "objective": "iqm", "optimism_gap": 10.0, "tuning": {"claimed": 90.0},
        "confirm": {"1": found | {"agents": 10}}, "test": {"winner": found, "defaults": {}},
    }  # fmt: skip
    (study / "best.json").write_text(json.dumps(best))


def test_a_study_is_told_best_first(study: Path) -> None:
    lines = job_dir(study, PIPE)
    assert lines[0] == (
        f"study    {study}: not finished; the same command goes on; 3 of 4 trials ended"
    )
    assert lines[1].split() == ["trial", "state", "iqm", "flags"]
    assert lines[2].split() == ["2", "SUCCEEDED", "90", "[90,", "90]", "gamma", "0.92"]
    assert lines[3].split()[:5] == ["1", "SUCCEEDED", "15", "[10,", "20]"]
    assert lines[4].split()[:5] == ["3", "FAILED", "exit", "code", "1"]
    assert lines[4].endswith(f"gamma 0.93; log: {study}/3/trial.log")
    assert lines[5].split() == ["4", "RUNNING", "gamma", "0.94"]
    assert lines[6] == "curve    trial 2: mean of 2 agents, from the worst to the best"
    assert lines[-1].endswith("20 steps") and all(len(line) <= 79 for line in lines[7:])


def test_a_study_at_work_says_so(study: Path) -> None:
    with (study / "study.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "in progress; 3 of 4 trials ended" in job_dir(study, PIPE)[0]
    assert "in progress" not in job_dir(study, PIPE)[0]


def test_the_end_of_a_study_is_summed_up_and_the_winner_is_drawn(study: Path) -> None:
    finish(study)
    lines = job_dir(study, PIPE)
    assert "finished; 3 of 4" in lines[0]
    assert "confirm  trial 1: 80 [70, 85], 10 seeds" in lines
    assert "test     winner: 80 [70, 85], 20 seeds" in lines
    assert "test     defaults: no score" in lines
    assert "optimism 10: the search claimed 90 for its best (iqm)" in lines
    assert any(line.startswith("curve    trial 1:") for line in lines)


def test_runs_on_fresh_seeds_are_told_before_the_end(study: Path) -> None:
    run(study / "confirm-1" / "2", 80.0)
    (study / "confirm-1" / "1").mkdir()
    lines = job_dir(study, PIPE)
    assert "confirm  confirm-1/2: 80 [80, 80], 1 seed" in lines
    assert "confirm  confirm-1/1: not finished" in lines


def test_folders_that_are_not_whole_are_named(study: Path) -> None:
    (study / "2" / "manifest.json").write_text('{"state"')
    shutil.rmtree(study / "1")
    (study / "9").mkdir()
    (study / "best.json").write_text("[]")
    text = "\n".join(job_dir(study, PIPE))
    assert f"damaged  trial 2: {study}/2/manifest.json is missing or damaged" in text
    assert f"damaged  trial 1: its folder {study}/1 is missing" in text
    assert f"damaged  {study}/9: study.json knows no such trial" in text
    assert "damaged  best.json is not whole" in text
    (study / "study.json").write_text("{")
    lines = job_dir(study, PIPE)
    assert lines[0] == f"study    {study}: not at work; study.json is damaged"
    assert f"damaged  {study}/2: study.json knows no such trial" in lines


def test_a_single_run(tmp_path: Path) -> None:
    run(tmp_path / "a", 1.0, 3.0)
    lines = job_dir(tmp_path / "a", PIPE)
    assert lines[0] == f"run      {tmp_path}/a: succeeded"
    assert lines[1] == "score    final policies: 2 [1, 3], 2 seeds"
    (tmp_path / "a" / "manifest.json").unlink()
    assert job_dir(tmp_path / "a", PIPE)[0].endswith(": not finished; at work, or stopped")
    (tmp_path / "a" / "metrics.jsonl").write_bytes(b"\xff{")
    assert f"damaged  {tmp_path}/a/metrics.jsonl holds no report" in job_dir(tmp_path / "a", PIPE)


@pytest.mark.parametrize("name", ["", "missing", "file"])
def test_nothing_there_is_one_sentence_and_code_1(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / name
    assert tuner("show", str(place)) == (
        1,
        "",
        f"error: {place} must be the job dir of a study or of a run, but holds neither.\n",
    )


def test_the_command_prints_to_a_pipe_in_full(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    ended = tuner("show", str(study))
    assert (ended.code, ended.err) == (0, "")
    assert f"gamma 0.93; log: {study}/3/trial.log\n" in ended.out


@pytest.mark.parametrize("width", [10, 20, 60])
def test_a_narrow_terminal_is_kept_to(study: Path, width: int) -> None:
    finish(study)
    lines = job_dir(study, Screen(width, True, True))
    assert all(len(line) <= max(width, 14) for line in lines)
    assert "●" in "".join(lines)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(deadline=None, max_examples=25)
@given(
    JSON,
    st.sampled_from(["best.json", "study.json", "2/manifest.json", "2/metrics.jsonl"]),
    st.sampled_from(["", "test", "scores", "trainingOutput", "trials", "confirm", "reproduce"]),
)
def test_whatever_a_file_holds_there_is_no_traceback(
    tmp_path_factory: pytest.TempPathFactory, found: Any, name: str, key: str
) -> None:
    folder = tmp_path_factory.mktemp("any") / "study"
    study.__wrapped__(folder.parent)  # type: ignore[attr-defined]
    finish(folder)
    file = folder / name
    content = found
    if key:
        content = (json.loads(file.read_text()) if name.endswith(".json") else {}) | {key: found}
    file.write_text(json.dumps(content))
    assert tuner("show", str(folder)).code == 0


POINTS = st.lists(
    st.builds(
        Point,
        st.integers(0, 10**6),
        st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)
@given(POINTS, st.integers(1, 120), st.booleans())
def test_any_curve_has_axes_and_a_mark_and_fits(
    points: list[Point], width: int, blocks: bool
) -> None:
    lines = plot.text(points, width, blocks=blocks)
    assert len(lines) == plot.HEIGHT + 2
    assert any(("●" if blocks else "*") in line for line in lines)
    assert blocks or all(line.isascii() for line in lines)
    assert max(map(len, lines)) <= max(width, 28)


def test_a_rising_curve_rises() -> None:
    points = [Point(step, (float(step),)) for step in range(0, 101, 10)]
    lines = plot.text(points, 40, blocks=False)
    marked = [line.find("*") for line in lines[: plot.HEIGHT]]
    assert marked == sorted(marked, reverse=True)
    assert lines[0].startswith("100 |") and lines[plot.HEIGHT - 1].startswith("  0 |*")
    assert lines[plot.HEIGHT // 2].startswith(" 50 |")
