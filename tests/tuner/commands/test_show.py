"""`python -m tuner show`: what it prints for studies and runs in any state."""

from __future__ import annotations

import fcntl
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import cloudless_environment
from tests.support.job_dirs import write_run, write_study
from tests.support.terminals import Screen
from tests.tuner.test_main import tuner
from tuner.commands.show import shown
from tuner.outputs import terminal
from tuner.search import journal
from tuner.search.trial_store import FILE


def on_a_pipe(folder: Path) -> list[str]:
    return shown(folder, terminal.console(io.StringIO()))


def on_a_terminal(folder: Path, width: int, encoding: str = "utf-8") -> list[str]:
    console = terminal.console(io.TextIOWrapper(io.BytesIO(), encoding))
    console.width = width
    return shown(folder, console)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Trial 1 is the best; trial 2 was stopped early, trial 3 failed, trial 4 is good."""
    write_study(tmp_path / "study", 4, finished=False, films=0)
    return tmp_path / "study"


def finish(study: Path) -> None:
    found = {"interquartile_mean": 80.0, "interval": [70.0, 85.0], "agents": 20}
    best = {
        "trial": 4, "objective": "iqm", "optimism_gap": 10.0, "tuning": {"claimed": 90.0},
        "confirm": {"4": found | {"agents": 10}}, "test": {"winner": found, "defaults": {}},
    }  # fmt: skip
    (study / "best.json").write_text(json.dumps(best))


def test_a_study_is_shown_best_trial_first(study: Path) -> None:
    lines = on_a_pipe(study)
    assert lines[0] == (
        f"study    {study}: not finished; the same command continues it; 4 of 4 trials ended"
    )
    assert lines[1].split() == ["trial", "state", "iqm", "flags"]
    number, state, *score = lines[2].split()
    assert (number, state) == ("1", "SUCCEEDED")
    assert re.match(r"3\d\d\.\d \[3\d\d\.\d, 4\d\d\.\d\] gamma 0.99, learning_rate 0.02",
                    " ".join(score))  # fmt: skip
    assert [line.split()[:2] for line in lines[3:6]] == [
        ["4", "SUCCEEDED"], ["2", "STOPPED"], ["3", "FAILED"]
    ]  # fmt: skip
    assert "exit code 1" in lines[5]
    assert lines[6] == f"failed   trial 3: log: {study}/3/trial.log"
    assert lines[7] == "curve    trial 1: the mean, the worst and the best of 5 agents"
    assert lines[8].split() == ["steps", "mean", "worst", "best"]
    assert lines[-1].split()[0] == "2,000"


def test_trials_that_a_stopped_tuner_left_are_unfinished(study: Path) -> None:
    kept = optuna.load_study(study_name="study", storage=journal.opened(study / FILE))
    first = kept.trials[0]
    running = optuna.create_trial(
        state=optuna.trial.TrialState.RUNNING,
        params=first.params,
        distributions=first.distributions,
    )
    kept.add_trial(running)
    with (study / "study.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lines = on_a_pipe(study)
        assert "in progress; 4 of 5 trials ended" in lines[0]
        assert lines[6].split()[:2] == ["5", "RUNNING"]
    lines = on_a_pipe(study)
    assert "in progress" not in lines[0]
    assert lines[6].split()[:2] == ["5", "unfinished"]


def test_the_end_of_a_study_is_summed_up_and_the_winner_is_drawn(study: Path) -> None:
    finish(study)
    lines = on_a_pipe(study)
    assert "finished; 4 of 4" in lines[0]
    assert "confirm  trial 4: 80.0 [70.0, 85.0], 10 seeds" in lines
    assert "test     winner: 80.0 [70.0, 85.0], 20 seeds" in lines
    assert "test     defaults: no score" in lines
    assert "optimism 10.0: the search claimed 90.0 for its best (iqm)" in lines
    assert any(line.startswith("curve    trial 4:") for line in lines)


def test_runs_on_fresh_seeds_are_shown_before_the_end(study: Path) -> None:
    write_run(study / "confirm-1" / "2", [80.0], {})
    (study / "confirm-1" / "1").mkdir()
    lines = on_a_pipe(study)
    assert "confirm  confirm-1/2: 80.0 [80.0, 80.0], 1 seed" in lines
    assert "confirm  confirm-1/1: not finished" in lines


def test_incomplete_folders_are_named(study: Path) -> None:
    (study / "4" / "manifest.json").write_text('{"state"')
    shutil.rmtree(study / "1")
    (study / "9").mkdir()
    (study / "best.json").write_text("[]")
    text = "\n".join(on_a_pipe(study))
    assert f"damaged  trial 4: {study}/4/manifest.json is missing or damaged" in text
    assert f"damaged  trial 1: its folder {study}/1 is missing" in text
    assert f"damaged  {study}/9: study.journal has no such trial" in text
    assert "damaged  best.json is incomplete" in text
    (study / "study.journal").write_text("{")
    lines = on_a_pipe(study)
    assert lines[0] == f"study    {study}: not running; study.journal is damaged or missing"
    assert f"damaged  {study}/2: study.journal has no such trial" in lines


def test_a_single_run(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [1.0, 3.0], {})
    lines = on_a_pipe(tmp_path / "a")
    assert lines[0] == f"run      {tmp_path}/a: succeeded"
    assert lines[1] == "score    final policies: 2.00 [1.00, 3.00], 2 seeds"
    assert lines[-1].split()[:4] == ["2,000", "2.00", "1.00", "3.00"]
    (tmp_path / "a" / "manifest.json").unlink()
    assert on_a_pipe(tmp_path / "a")[0].endswith(": not finished; running or stopped")
    (tmp_path / "a" / "metrics.jsonl").write_bytes(b"\xff{")
    assert f"damaged  {tmp_path}/a/metrics.jsonl holds no report" in on_a_pipe(tmp_path / "a")


@pytest.mark.parametrize("name", ["", "missing", "file"])
def test_nothing_there_is_one_sentence_and_code_1(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / name
    assert tuner("show", str(place)) == (
        1,
        "",
        f"error: {place} has neither a study nor a run. Give the job dir of one.\n",
    )


def test_the_command_prints_to_a_pipe_in_full(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    ended = tuner("show", str(study))
    assert (ended.code, ended.err) == (0, "")
    assert f"failed   trial 3: log: {study}/3/trial.log\n" in ended.out


def numbers(lines: list[str]) -> list[str]:
    return sorted(re.findall(r"\d[\d.,e-]*", " ".join(lines)))


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_number_is_broken_at_any_width(study: Path, width: int, encoding: str) -> None:
    finish(study)
    lines = on_a_terminal(study, width, encoding)
    assert numbers(lines) == numbers(on_a_pipe(study))
    for line in lines:
        assert len(line) <= width or len(line.split()) == 1, "only a long path is longer"
    assert encoding == "utf-8" or all(line.isascii() for line in lines)


@pytest.mark.parametrize("columns", [20, 80])
@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"NO_COLOR": "1"},
        {"TERM": "dumb"},
    ],
    ids=str,
)
def test_a_real_terminal_does_not_split_numbers(
    study: Path, columns: int, environment: dict[str, str]
) -> None:
    with Screen(columns=columns, rows=100) as screen:
        done = subprocess.run(
            [sys.executable, "-m", "tuner", "show", "study"],
            cwd=study.parent,
            env=cloudless_environment() | {"TERM": "xterm"} | environment,
            stdout=screen.slave,
            stderr=subprocess.PIPE,
            timeout=60,
        )
        lines = screen.lines()
    assert (done.returncode, done.stderr) == (0, b"")
    inside = subprocess.run(
        [sys.executable, "-m", "tuner", "show", "study"],
        cwd=study.parent, env=cloudless_environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert numbers(lines) == numbers(inside.stdout.splitlines())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(deadline=None, max_examples=25)
@given(
    JSON,
    st.sampled_from(["best.json", "study.journal", "1/manifest.json", "1/metrics.jsonl"]),
    st.sampled_from(["", "test", "scores", "trainingOutput", "trials", "confirm", "reproduce"]),
)
def test_any_file_contents_give_no_traceback(
    tmp_path_factory: pytest.TempPathFactory, found: Any, name: str, key: str
) -> None:
    folder = tmp_path_factory.mktemp("any") / "study"
    write_study(folder, 4, finished=False, films=0)
    finish(folder)
    file = folder / name
    content = found
    if key:
        content = (json.loads(file.read_text()) if name.endswith(".json") else {}) | {key: found}
    file.write_text(json.dumps(content))
    assert tuner("show", str(folder)).code == 0
