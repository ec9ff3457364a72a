"""The page's figures are labelled correctly: no mean with another quantity's interval."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.job_dirs import report_of, write_run
from tuner.execution.metric_file import Measurement
from tuner.report import runs, summary
from tuner.report.html import render
from tuner.report.model import STUDY, Report, Run, Trial
from tuner.report.optuna_figures import figures
from tuner.search.objective import Scores
from tuner.spec.study_spec import DOUBLE, Parameter

START = datetime(2026, 1, 1, tzinfo=UTC)


def study(trials: Sequence[Trial], objective: str) -> Report:
    space = {name: Parameter(name, DOUBLE, 0.0, 1.0) for name in ("x", "y")}
    return Report(STUDY, "study", "here", trials, objective=objective, space=space)


def trial(number: int, scores: Sequence[float], objective: str) -> Trial:
    """A trial whose agents solved their task in ten times as many steps as they score."""
    solved = tuple(int(10 * score) for score in scores)
    found = Scores(tuple(scores), (9000,) * len(scores), solved, (True,) * len(scores))
    return Trial(
        str(number),
        {"x": number / 100, "y": (number * 37 % 100) / 100},
        "SUCCEEDED",
        "",
        Run(str(number), scores=found),
        runs.estimate(found, objective, "MAXIMIZE"),
    )


def text(page: str) -> str:
    """What a reader sees: the page without its scripts, styles and tags."""
    page = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_an_interquartile_mean_is_shown_with_its_own_interval() -> None:
    # The middle half of 100, 200, 300, 400 has the mean 250.
    page = text(render(study([trial(1, [100, 200, 300, 400], "iqm")], "iqm")))
    assert "250.0 mean_score interquartile mean of 4 search seeds 95% interval" in page


def test_a_mean_is_shown_with_the_range_of_its_agents() -> None:
    page = text(render(study([trial(1, [100, 200, 300, 500], "mean")], "mean")))
    assert "275.0 mean_score mean of 4 search seeds range of agents 100.0 to 500.0" in page
    assert "95%" not in page


def test_steps_are_shown_in_steps_beside_the_range_of_steps() -> None:
    # 1000, 2000 and 6000 steps.
    page = text(render(study([trial(1, [100, 200, 600], "steps_to_solve")], "steps_to_solve")))
    assert "3,000 steps to solve mean" in page
    assert "range of agents 1,000 to 6,000" in page
    assert "95%" not in page


def test_a_single_agent_has_no_interval(tmp_path: Path) -> None:
    write_run(tmp_path, [0.73], {"environment": "FrozenLake-v1"})
    page = text(render(report_of(tmp_path)))
    assert "0.730 mean_score one agent; how far seeds differ is unknown" in page
    assert "95%" not in page and "range" not in page


def test_a_single_run_has_no_winner(tmp_path: Path) -> None:
    write_run(tmp_path, [100.0, 200.0], {"learning_rate": 0.1})
    assert not re.search(r"\bw[io]n(s|ner)?\b", text(render(report_of(tmp_path))))


@pytest.mark.parametrize("different, drawn", [(9, False), (10, True)])
def test_importances_and_shares_of_variance_need_ten_different_scores(
    different: int, drawn: bool
) -> None:
    trials = [trial(n, [n % different, n % different + 1], "iqm") for n in range(1, 31)]
    report = study(trials, "iqm")
    assert ("importances" in figures(report)) == drawn
    page = text(render(report))
    assert ("cannot be told from chance" in page) != drawn
    assert ("Due to parameters" in page) == drawn


def test_a_stopped_trial_keeps_its_last_report_and_its_rank() -> None:
    scored = trial(1, [1.0, 2.0], "iqm")
    reports = [Measurement(1000, 3.0), Measurement(5000, 7.25)]
    stopped = Trial("2", {"x": 0.5}, "STOPPED", "it was stopped", Run("2"), reports=reports)
    page = text(render(study([scored, stopped], "iqm")))
    assert "2 7.25 last report, at 5 k steps 0.5 stopped it was stopped" in page
    page = text(render(study([trial(1, [1.0, 2.0], "steps_to_solve"), stopped], "steps_to_solve")))
    assert "2 last score 7.25, at 5 k steps 0.5 stopped it was stopped" in page


def test_the_search_takes_as_long_as_its_trials_take_together() -> None:
    # Two trials of an hour at once, and after a pause of an hour another one: two hours of work.
    hours = [(0, 1), (0, 1), (2, 3)]
    spans = [(START + timedelta(hours=a), START + timedelta(hours=b)) for a, b in hours]
    assert summary.busy(spans) == timedelta(hours=2)
    assert summary.busy([]) == timedelta(0)
