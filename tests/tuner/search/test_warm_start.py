"""A study that continues from an earlier one: what it uses, and which ones it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, cloudless_environment
from tests.support.tuner_of_fakes import command, stand_in
from tuner.__main__ import main
from tuner.search.trial_store import FILE

SPACE = (
    (ROOT / "templates" / "smoke.yaml")
    .read_text(encoding="utf-8")
    .replace("enableTrialEarlyStopping: true", "enableTrialEarlyStopping: false")
)
RESUMED = SPACE.replace("maxTrials: 4", "maxTrials: 4\n    resumePreviousJobId: before")


class Runs:
    """A folder of studies, and what they say."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(
        self, name: str, *flags: str, space: str = SPACE, trials: int = 1
    ) -> tuple[int, str, str]:
        Path("space.yaml").write_text(space, encoding="utf-8")
        words = ["--max-trials", str(trials), "--candidates", "1"]
        try:
            code = main(["run", "space.yaml", "--job-dir", name, *words, *flags], stand_in())
        except SystemExit as end:
            code = int(str(end.code))
        out, err = self._capsys.readouterr()
        lines = [line for line in out.splitlines(keepends=True) if ": warning: " not in line]
        return code, "".join(lines), err  # warnings of so small a search are another test's


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Runs:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fake.json").write_text("{}")
    monkeypatch.setenv("FAKE", str(tmp_path / "fake.json"))
    return Runs(capsys)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one trial; tests copy it."""
    folder = tmp_path_factory.mktemp("before")
    (folder / "fake.json").write_text("{}")
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    subprocess.run(
        [*command(), "run", "space.yaml", "--job-dir", "before",
         "--max-trials", "1", "--candidates", "1"],
        cwd=folder,
        env=cloudless_environment() | {"FAKE": str(folder / "fake.json")},
        check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return folder / "before"


def read(name: str) -> Any:
    return json.loads(Path(name).read_text(encoding="utf-8"))


def rates(study: str) -> list[str]:
    trials = read(f"{study}/study.json")["trainingOutput"]["trials"]
    return [trial["hyperparameters"]["learning_rate"] for trial in trials]


def test_the_search_knows_what_the_other_found_and_counts_its_own(run: Runs) -> None:
    assert run("before", trials=3)[0] == 0
    assert run("longer", trials=5)[0] == 0
    code, out, err = run("after", space=RESUMED, trials=2)
    assert (code, err) == (0, "")
    assert "      The search knows 3 trials of before, beside its own." in out
    # What one study would have tried as its fourth and fifth; the defaults have been tried.
    assert rates("before") + rates("after") == rates("longer")
    trials = read("after/study.json")["trainingOutput"]["trials"]
    assert [trial["trialId"] for trial in trials] == ["1", "2"]
    assert sorted(path.name for path in Path("after").iterdir() if path.name.isdigit()) == [
        "1",
        "2",
    ]


def test_the_same_command_continues_and_reads_the_earlier_study_once(run: Runs) -> None:
    run("before")
    flags = ("--resume-from", "before")
    assert run("after", *flags, trials=1)[0] == 0
    Path("before", FILE).unlink()  # nobody needs it any more
    code, out, _ = run("after", *flags, trials=2)
    assert code == 0
    assert "The search knows 1 trial of" in out and "1 trial has ended before." in out
    code, _, err = run("after", trials=2)
    assert (code, "resumed before (now none)" in err) == (1, True)


def test_nothing_is_tested_on_seeds_that_the_other_has_used(run: Runs, before: Path) -> None:
    shutil.copytree(before, "before")
    assert list(read("before/best.json")["seeds"].values()) == [0, 1, 2, 3]
    run("after", "--resume-from", "before")
    seeds = read("after/best.json")["seeds"]
    assert seeds == {
        "tuning": 0,
        "before, confirming with 5 of 10 seeds": 1,
        "before, confirming with the other 5 of 10 seeds": 2,
        "before, testing trial 1 with 20 seeds": 3,
        "confirming with 5 of 10 seeds": 4,
        "confirming with the other 5 of 10 seeds": 5,
        "testing trial 1 with 20 seeds": 6,
    }


def test_a_job_id_names_a_sibling_folder_and_the_flag_any_folder(run: Runs, before: Path) -> None:
    shutil.copytree(before, "runs/before")
    assert run("runs/after", space=RESUMED)[0] == 0
    code, out, err = run("elsewhere", space=RESUMED)
    assert (code, out) == (1, "")
    assert err == (
        "error: The earlier study has no study.journal in before. Give its folder with"
        " --resume-from.\n"
    )
    assert not Path("elsewhere", FILE).exists(), "without it, one may begin there"
    assert run("elsewhere", "--resume-from", "runs/before", space=RESUMED)[0] == 0


@pytest.mark.parametrize(
    "change, flags, difference",
    [
        (
            ("maxValue: 0.05", "maxValue: 0.1"),
            (),
            "parameters learning_rate maxValue 0.05 (now 0.1)",
        ),
        (("", ""), ("--objective", "mean"), "objective iqm (now mean)"),
        (("", ""), ("--seeds", "3"), "seeds 2 (now 3)"),
        (("", ""), ("--trainer-args=--gamma=0.9",), ": args none (now --gamma=0.9)."),
        (("", ""), ("--trainer-args=--seed=7",), "seed 0 (now 7)"),
        # Seed 2 is what the other was tested on.
        (("", ""), ("--trainer-args=--seed 2.0",), "seed 0 (now 2)"),
    ],
)
def test_scores_that_mean_something_else_are_refused(
    run: Runs, before: Path, change: tuple[str, str], flags: tuple[str, ...], difference: str
) -> None:
    shutil.copytree(before, "before")
    code, out, err = run("after", "--resume-from", "before", *flags, space=SPACE.replace(*change))
    assert (code, out) == (1, "")
    assert err.startswith("error: The scores of before are not comparable: ")
    assert difference in err
    assert err.count("\n") == 1
    assert not Path("after", FILE).exists()


def test_a_study_may_continue_with_another_algorithm(run: Runs, before: Path) -> None:
    shutil.copytree(before, "before")
    space = SPACE.replace("maxTrials: 4", "maxTrials: 4\n    algorithm: RANDOM_SEARCH")
    assert run("after", "--resume-from", "before", space=space)[0] == 0


def test_a_grid_learns_nothing(run: Runs) -> None:
    grid = SPACE.replace("maxTrials: 4", "maxTrials: 4\n    algorithm: GRID_SEARCH").replace(
        "type: DOUBLE\n      minValue: 0.001\n      maxValue: 0.05\n"
        "      scaleType: UNIT_LOG_SCALE",
        "type: DISCRETE\n      discreteValues: [0.005, 0.02, 0.05]",
    )
    code, _, err = run("after", "--resume-from", "before", space=grid)
    assert (code, "GRID_SEARCH tries each point and cannot use" in err) == (2, True)


def test_a_file_that_is_not_a_study_is_named(run: Runs) -> None:
    Path("before").mkdir()
    Path("before", FILE).write_bytes(b"no journal " * 100)
    code, _, err = run("after", "--resume-from", "before")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("error: before/study.journal cannot be used: ")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_path_that_is_not_a_regular_file_is_refused(
    run: Runs, make: Callable[[Path], None]
) -> None:
    Path("before").mkdir()
    make(Path("before", FILE))
    code, _, err = run("after", "--resume-from", "before")
    assert (code, err.count("\n")) == (1, 1)
    assert "it is not a regular file (before/study.journal). Choose another" in err


@pytest.mark.parametrize("words", ["--seed 3", "--seed=3", "--seed 3.0"])
def test_a_seed_of_the_test_is_refused_for_the_tuning(run: Runs, before: Path, words: str) -> None:
    shutil.copytree(before, "study")
    assert read("study/best.json")["seeds"]["testing trial 1 with 20 seeds"] == 3
    code, out, err = run("study", f"--trainer-args={words}", trials=2)
    assert (code, out) == (1, "")
    assert "seed 0 (now 3). Choose another folder." in err
    assert rates("study") == ["0.01"]


def test_a_seed_that_the_args_set_is_kept_out_of_confirming_and_testing(run: Runs) -> None:
    assert run("study", "--trainer-args=--seed 1")[0] == 0
    seeds = read("study/best.json")["seeds"]
    assert list(seeds.values()) == [1, 0, 2, 3]
    for folder, seed in (
        ("1", 1),
        ("confirm-0/1", 0),
        ("test-3/winner", 3),
        ("test-3/defaults", 3),
    ):
        words = Path("study", folder, "starts").read_text().split("] ")[0]
        # The trainer takes the last of two.
        assert words.rindex(f'"--seed={seed}"') > words.rindex('"--seed"'), folder
