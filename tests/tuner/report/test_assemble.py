"""A report is correct for a job dir in any state."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.job_dirs import report_of, write_study
from tuner.report import checklist
from tuner.report.html import render


def test_the_headline_of_a_study_is_its_test_and_not_its_search(study: Path) -> None:
    report = report_of(study)
    page = render(report)
    assert report.winner is not None and report.winner.name == "1"
    # Twenty agents from 370 to 389: the middle half has the mean 379.5.
    assert '<span class="number">379.5</span>' in page
    assert "interquartile mean of 20 fresh seeds" in page
    assert "optimism 30" in page
    assert [len(report.scored), len(report.trials)] == [10, 12]
    assert [trial.reason for trial in report.trials[-2:]] == [
        "the median rule stopped it",
        "exit code 1",
    ]


def test_the_leaderboard_is_sorted_by_score(study: Path) -> None:
    values = [trial.estimate.value for trial in report_of(study).trials if trial.estimate]
    assert values == sorted(values, reverse=True) and len(values) == 10


def test_the_command_repeats_the_winners_test(study: Path) -> None:
    assert checklist.command(report_of(study)) == (
        "python -m trainer.task --seed=0 --gamma=0.99 --learning_rate=0.02 --job-dir runs/again"
    )


def test_the_checklist_names_what_is_missing(job: Path, study: Path) -> None:
    assert all(item.known for item in checklist.checklist(report_of(study)))
    missing = [item.name for item in checklist.checklist(report_of(job)) if not item.known]
    assert missing == ["Search space", "Fresh test", "Baseline"]


def test_a_study_in_progress_says_so(tmp_path: Path) -> None:
    write_study(tmp_path / "study", 4, finished=False)
    report = report_of(tmp_path / "study")
    page = render(report)
    assert report.cpu_seconds == 12.0 + 4 * 1.5
    assert "is running, or was interrupted" in page
    assert "expect less of it on fresh seeds" in page


@pytest.mark.parametrize("name", ["study.journal", "study.json", "best.json"])
def test_a_damaged_study_file_still_gives_a_page(study: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(study, tmp_path / "study")
    (tmp_path / "study" / name).write_bytes(b"ruined " * 500)
    report = report_of(tmp_path / "study")
    assert any(name in problem for problem in report.problems)
    assert len(report.trials) == 12
    assert f"{name} is damaged" in render(report)


def test_broken_trials_are_shown_as_such(job: Path) -> None:
    report = report_of(job)
    assert [(trial.name, trial.state) for trial in report.trials] == [
        ("2", "SUCCEEDED"),
        ("1", "SUCCEEDED"),
        ("3", "UNFINISHED"),
        ("4", "DAMAGED"),
        ("5", "UNFINISHED"),
    ]
    page = render(report)
    assert "manifest.json is not a JSON object." in page
    assert "2 of 5 trials have no final score" in page
    assert list(report.space) == ["learning_rate"]


def test_a_single_run_and_one_in_progress(job: Path) -> None:
    page = render(report_of(job / "2"))
    assert "A2C on CartPole-v1" in page and '<span class="number">205.0</span>' in page
    page = render(report_of(job / "3"))
    assert "No score yet" in page and "was stopped early, or was interrupted" in page
