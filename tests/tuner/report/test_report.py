"""A job dir in whatever state it is makes a page that tells the truth about it."""

from __future__ import annotations

import contextlib
import html
import io
import json
import math
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import TIMEOUT
from tests.support.full_disk import files_end_after
from tests.support.job_dirs import write_run, write_study
from tests.support.storage_server import FaultyStorage
from tuner.__main__ import main
from tuner.report import assemble, checklist, runs, told
from tuner.report.files import open_files
from tuner.report.gather import gather
from tuner.report.html import as_json, render
from tuner.report.model import Report, Run
from tuner.report.optuna_figures import figures
from tuner.report.plotly import Chart, spread
from tuner.report.seed_noise import noise
from tuner.search.objective import Scores


def read(folder: Path) -> Report:
    return gather(open_files(str(folder)))


def run(*words: str) -> tuple[int, str]:
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        return main(["report", *words]), err.getvalue()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "study"
    write_study(folder, 12)
    return folder


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Trials of a service: two that ended, and what a corrupt and an interrupted one leave."""
    for trial, rate in ((1, 0.01), (2, 0.02)):
        write_run(tmp_path / "job" / str(trial), [100.0 * trial, 100.0 * trial + 10],
                  {"learning_rate": rate})  # fmt: skip
    write_run(tmp_path / "job" / "3", [1.0], {"learning_rate": 0.03}, finished=False)
    write_run(tmp_path / "job" / "4", [1.0], {"learning_rate": 0.04})
    (tmp_path / "job" / "4" / "manifest.json").write_bytes(b'{"scores": {"sco')
    (tmp_path / "job" / "5").mkdir()
    return tmp_path / "job"


def test_a_study_is_told_by_its_test_and_not_by_its_search(study: Path) -> None:
    report = read(study)
    page = render(report)
    assert report.winner is not None and report.winner.name == "1"
    # Twenty agents from 370 to 389: the middle half has the mean 379.5.
    assert '<span class="number">379.5</span>' in page
    assert "over 20 fresh seeds" in page
    assert "optimism 30" in page
    assert [len(report.scored), len(report.trials)] == [10, 12]
    assert [trial.reason for trial in report.trials[-2:]] == [
        "the median rule stopped it",
        "exit code 1",
    ]


def test_the_leaderboard_is_sorted_by_score(study: Path) -> None:
    values = [trial.estimate.value for trial in read(study).trials if trial.estimate]
    assert values == sorted(values, reverse=True) and len(values) == 10


def test_the_command_makes_the_winners_test_again(study: Path) -> None:
    assert checklist.command(read(study)) == (
        "python -m trainer.task --seed=0 --gamma=0.99 --learning_rate=0.02 --job-dir runs/again"
    )


def test_what_is_missing_for_a_reproduction_is_named(job: Path, study: Path) -> None:
    assert all(item.known for item in checklist.checklist(read(study)))
    missing = [item.name for item in checklist.checklist(read(job)) if not item.known]
    assert missing == ["Search space", "Fresh test", "Baseline"]


def test_a_study_in_progress_says_so(tmp_path: Path) -> None:
    write_study(tmp_path / "study", 4, finished=False)
    report = read(tmp_path / "study")
    page = render(report)
    assert report.cpu_seconds == 12.0 + 4 * 1.5
    assert "in progress, or was interrupted" in page
    assert "expect less of it on fresh seeds" in page


@pytest.mark.parametrize("name", ["study.journal", "study.json", "best.json"])
def test_a_damaged_study_file_costs_no_page(study: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(study, tmp_path / "study")
    (tmp_path / "study" / name).write_bytes(b"ruined " * 500)
    report = read(tmp_path / "study")
    assert any(name in problem for problem in report.problems)
    assert len(report.trials) == 12
    assert f"{name} cannot be read" in render(report)


def test_broken_trials_are_shown_as_such(job: Path) -> None:
    report = read(job)
    assert [(trial.name, trial.state) for trial in report.trials] == [
        ("2", "SUCCEEDED"),
        ("1", "SUCCEEDED"),
        ("3", "UNFINISHED"),
        ("4", "DAMAGED"),
        ("5", "UNFINISHED"),
    ]
    page = render(report)
    assert "manifest.json is no JSON object." in page
    assert "2 of 5 trials have not ended" in page
    assert list(report.space) == ["learning_rate"]


def test_a_single_run_and_one_in_progress(job: Path) -> None:
    page = render(read(job / "2"))
    assert "A2C on CartPole-v1" in page and '<span class="number">205.0</span>' in page
    page = render(read(job / "3"))
    assert "No score yet" in page and "it runs still, or was interrupted" in page


def test_a_bucket_and_a_folder_give_the_same_page(
    job: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with FaultyStorage() as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        for file in job.rglob("*"):
            if file.is_file() and file.parent.name != "5":
                storage.put(f"a/job/{file.relative_to(job).as_posix()}", file.read_bytes())
        (job / "5").rmdir()  # a bucket has no empty folders
        monkeypatch.chdir(tmp_path)
        assert run("gs://bucket/a/job") == (0, "")
        code, message = run("gs://bucket/a/nothing")
    assert code == 1 and message.count("\n") == 1 and "must hold a run" in message
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page == render(read(job)).replace(str(job), "gs://bucket/a/job")


def test_a_study_in_a_bucket_is_read_with_its_journal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    write_study(study, 6)
    with FaultyStorage() as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        for file in study.rglob("*"):
            if file.is_file():
                storage.put(f"a/study/{file.relative_to(study).as_posix()}", file.read_bytes())
        found = gather(open_files("gs://bucket/a/study"))
    here = read(study)
    assert len(found.trials) == len(here.trials) > 1
    assert found.confirmed.keys() == here.confirmed.keys()
    assert found.tested.keys() == here.tested.keys() and found.tested
    assert render(found).replace("gs://bucket/a/study", str(study)) == render(here)


def test_nothing_to_report_is_one_sentence(tmp_path: Path) -> None:
    code, message = run(str(tmp_path))
    assert code == 1
    assert message == (
        f"error: {tmp_path} must hold a run, a study or trials, but holds none of their files. Give"
        " the job dir that the trainer or the tuner wrote to.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words, message",
    [
        (["no/such"], "no/such could not be read: No such file or directory."),
        (
            ["gs:/bucket/job"],
            "A gs:// address must start with gs://, but got 'gs:/bucket/job'.",
        ),
    ],
)
def test_a_bad_command_ends_with_2(words: list[str], message: str) -> None:
    assert run(*words) == (2, f"error: {message}\n")


def test_the_page_lies_in_the_job_dir_or_where_it_is_asked_for(job: Path, tmp_path: Path) -> None:
    assert run(str(job)) == (0, "")
    assert run(str(job), "--output", str(tmp_path / "p.html")) == (0, "")
    assert (tmp_path / "p.html").read_bytes() == (job / "report.html").read_bytes()
    code, message = run(str(job), "--output", str(tmp_path / "no" / "p.html"))
    assert code == 2 and "could not be written" in message


def test_a_disk_that_is_full_half_way_leaves_the_old_page(job: Path, tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    page.write_text("old")
    before = sorted(tmp_path.rglob("*"))
    with files_end_after(2**20):
        code, message = run(str(job), "--output", str(page))
    assert (code, message) == (2, f"error: {page} could not be written: File too large.\n")
    assert page.read_text() == "old"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_page_behind_a_link_or_in_a_pipe_goes_where_it_leads(job: Path, tmp_path: Path) -> None:
    page, link, pipe = (tmp_path / name for name in ("p.html", "link.html", "pipe"))
    link.symlink_to(page)
    assert run(str(job), "--output", str(link)) == (0, "")
    assert link.is_symlink() and page.read_bytes()
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert run(str(job), "--output", str(pipe)) == (0, "")
    reader.join(TIMEOUT)
    assert heard == [page.read_bytes()] and pipe.is_fifo()


EVIL = "</script><script>alert(1)</script>"


def test_names_that_look_like_markup_stay_text(tmp_path: Path) -> None:
    for trial in ("1", "2", "3", "4", "5"):
        flags = {EVIL: f"{EVIL}{trial}", "learning_rate": float(trial)}
        write_run(tmp_path / trial, [float(trial), 9.0], flags, film=False)
    page = render(read(tmp_path))
    assert EVIL not in page and "<script>alert" not in page
    assert html.escape(EVIL).replace("&#x27;", "&#39;") in page


def test_words_numbers_and_switches_may_be_mixed(tmp_path: Path) -> None:
    for trial, value in enumerate([True, "a", 3, 2.5, "nan"], 1):
        write_run(tmp_path / str(trial), [trial, 9.0], {"x": value, "y": trial}, film=False)
    report = read(tmp_path)
    assert {"importances", "parallel", "slice-0", "slice-1"} <= figures(report).keys()
    assert [told.as_value(x) for x in ("32", "1e-2", "nan", "relu", 7, [1], "9" * 400)] == [
        *(32, 0.01, "nan", "relu", 7, "[1]", "9" * 400)
    ]


@given(st.text(), st.text())
def test_json_in_a_script_ends_no_script(name: str, label: str) -> None:
    found = as_json({name: Chart([{"x": [label]}], {}, label + EVIL, 1)})
    assert not set("<>&\u2028\u2029") & set(found)
    assert json.loads(found)[name]["data"] == [{"x": [label]}]


def test_a_part_that_somebody_else_makes_has_its_place(job: Path) -> None:
    @dataclass
    class Play:
        markup: str = "<p>here one plays</p>"
        style: str = ".play-it { }"
        script: str = "window.plays = 1;"

    assert 'id="play"' not in render(read(job))
    page = render(read(job), Play())
    assert '<section id="play"><p>here one plays</p></section>' in page
    assert ".play-it { }" in page and "<script>window.plays = 1;</script>" in page


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NAMED = st.dictionaries(
    st.sampled_from(["scores", "steps", "steps_to_solve", "interval", "sampled_mean_score"]), JSON
)


@given(
    st.binary(max_size=40) | st.fixed_dictionaries({"scores": NAMED | JSON}).map(
        lambda found: json.dumps(found).encode()
    ),
    st.binary(max_size=40) | JSON.map(lambda found: json.dumps({"settings": found}).encode()),
)  # fmt: skip
def test_whatever_a_folder_holds_it_is_a_run(manifest: bytes, settings: bytes) -> None:
    found = runs.run("1", {"1/manifest.json": manifest, "1/hyperparameters.json": settings})
    assert found.state in ("SUCCEEDED", "DAMAGED")
    estimate = runs.metric(found, "MAXIMIZE")
    assert (estimate is None) == (not found.scores.scores)


@given(st.lists(JSON.map(json.dumps) | st.text(max_size=20)))
def test_whatever_metrics_hold_points_rise(lines: list[str]) -> None:
    steps = [point.step for point in runs.points("\n".join(lines).encode("utf-8", "replace"))]
    assert steps == sorted(set(steps))


def test_noise_finds_the_variances_that_made_the_scores() -> None:
    random = np.random.default_rng(0)
    means = random.normal(0, 3, 4000)
    found = noise([list(random.normal(mean, 2, 5)) for mean in means])
    assert found is not None
    assert (found.within, found.between) == pytest.approx((2, 3), rel=0.04)
    assert found.share == pytest.approx(9 / 13, abs=0.02)
    # MS within = ((1+1) + (1+1)) / 2 = 2, MS between = 2 * 8^2 / 2 / 1 = 64: (64 - 2) / 2 = 31.
    small = noise([[1, 3], [9, 11]])
    assert small is not None
    assert (small.within**2, small.between**2) == pytest.approx((2, 31))
    assert noise([[1, 2]]) is None and noise([[1], [2]]) is None
    alike = noise([[5, 5], [5, 5]])
    assert alike is not None and not math.isnan(alike.share)


@given(st.lists(st.integers(), max_size=50, unique=True), st.integers(2, 10))
def test_a_thinned_list_keeps_its_ends_and_order(items: list[int], count: int) -> None:
    few = spread(items, count)
    assert len(few) == min(len(items), count) and few == [x for x in items if x in few]
    assert few[:1] == items[:1] and few[-1:] == items[-1:]


def test_both_parts_of_confirming_count_and_earlier_ones_do_not() -> None:
    known = {
        "tuning": 0,
        "confirming with 6 of 12 seeds": 1,
        "confirming with the other 6 of 12 seeds": 2,
        "testing trial 3 with 20 seeds": 3,
        "confirming with 5 of 10 seeds": 4,
        "confirming with the other 5 of 10 seeds": 5,
        "testing trial 3 with 30 seeds": 6,
    }
    assert assemble._latest(known, "confirming ") == [4, 5]
    assert assemble._latest(known, "testing trial 3 ") == [6]
    assert assemble._latest(known, "testing trial 4 ") == []
    parts = [
        Run(f"confirm-{n}/3", scores=Scores(scores=(float(n),), steps=(10,)), interval=(0.0, 1.0))
        for n in (4, 5)
    ]
    both = assemble._joined(*parts)
    assert (both.scores.scores, both.scores.steps, both.interval) == ((4.0, 5.0), (10, 10), None)
