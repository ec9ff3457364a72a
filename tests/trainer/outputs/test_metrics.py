"""Reports, the reporters that take them, and `metrics.jsonl`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.reports import COURSE, CUTS, INF, NAN, lines, reported, score, through_json
from trainer.contract.job_files import METRICS
from trainer.outputs.metrics import JsonLinesReporter, Report, Reporters, finite
from trainer.storage.job_dir import JobDir


def test_every_report_is_a_line_of_json(tmp_path: Path) -> None:
    reporter = JsonLinesReporter(JobDir(tmp_path))
    reporter.report(1000, {"mean_score": 1.5, "scores": [1.0, 2.0]})
    reporter.report(2000, {"mean_score": 2.5, "diverged": []}, final=True)
    assert lines(tmp_path / METRICS) == [
        {"step": 1000, "final": False, "mean_score": 1.5, "scores": [1, 2]},
        {"step": 2000, "final": True, "mean_score": 2.5, "diverged": []},
    ]


def test_each_report_can_be_read_at_once(tmp_path: Path) -> None:
    reporter = JsonLinesReporter(JobDir(tmp_path))
    for number in (1, 2):
        reporter.report(number, score(0))
        assert len(lines(tmp_path / METRICS)) == number


METRIC = st.one_of(st.floats(), st.lists(st.floats()), st.none(), st.integers(), st.text())


@given(metrics=st.dictionaries(st.text(), METRIC))
def test_no_number_that_is_none_gets_past(metrics: dict[str, Any]) -> None:
    json.dumps(finite(metrics), allow_nan=False)


@given(metrics=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)))
def test_finite_numbers_all_get_past(metrics: dict[str, Any]) -> None:
    assert finite(metrics) == metrics


def test_numbers_that_are_none_leave_their_place_in_a_list() -> None:
    metrics = {"mean_score": NAN, "entropy": 0.5, "scores": [1.0, INF, NAN]}
    assert finite(metrics) == {"entropy": 0.5, "scores": [1.0, None, None]}


class Notes:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, Any], bool]] = []

    def report(self, step: int, metrics: Any, *, final: bool = False) -> None:
        self.told.append((step, dict(metrics), final))

    def resume(self, reports: Any) -> None:
        self.told = [(report.step, dict(report.metrics), report.final) for report in reports]

    def close(self) -> None:
        """Nothing is open."""


def test_several_reporters_are_told_the_same() -> None:
    first, second = Notes(), Notes()
    reporters = Reporters([first, second])
    reporters.report(1, score(2))
    reporters.report(3, score(4), final=True)
    assert first.told == second.told == [(1, score(2), False), (3, score(4), True)]


# After a restart


@pytest.mark.parametrize("cut, saved", CUTS)
def test_metrics_are_the_same_to_the_last_byte_wherever_a_run_was_cut(
    cut: int, saved: int, tmp_path: Path
) -> None:
    def make(folder: Path, _restarted: bool) -> list[Any]:
        return [JsonLinesReporter(JobDir(folder))]

    whole = reported(make, tmp_path / "whole") / METRICS
    assert (
        reported(make, tmp_path / "cut", cut, saved) / METRICS
    ).read_bytes() == whole.read_bytes()


def test_a_run_that_is_taken_up_has_its_earlier_metrics_at_once(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text("what a later round had said\n")
    reporter = JsonLinesReporter(JobDir(tmp_path))
    reporter.resume([Report(1000, score(1.5), False, 7.0)])
    assert lines(tmp_path / METRICS) == [{"step": 1000, "final": False, "mean_score": 1.5}]


def test_every_reporter_is_told_what_was_reported_before() -> None:
    first, second = Notes(), Notes()
    reporters = Reporters([first, second])
    reporters.resume([Report(1, score(2), False, 7.0)])
    reporters.report(3, score(4), final=True)
    assert first.told == second.told == [(1, score(2), False), (3, score(4), True)]


def test_what_a_checkpoint_keeps_is_finite_and_has_its_time() -> None:
    reporters = Reporters([])
    for step, metrics, final in COURSE:
        reporters.report(step, metrics, final=final)
    kept = reporters.reports
    assert [report.step for report in kept] == [1000, 2000, 3000, 3072]
    assert kept[1].metrics == {"scores": [None, 4.0]}
    assert all(report.is_valid() for report in through_json(kept))
    assert [report.time for report in kept] == sorted(report.time for report in kept)
    assert through_json(kept) == kept


@pytest.mark.parametrize(
    "change",
    [
        {"step": -1}, {"step": 2**63}, {"step": 1.0}, {"step": True}, {"final": 1},
        {"time": "noon"}, {"time": INF}, {"time": None}, {"metrics": []},
        {"metrics": {"mean_score": "good"}}, {"metrics": {"entropy": NAN}},
    ],
)  # fmt: skip
def test_a_report_from_a_file_that_is_none_is_known(change: dict[str, Any]) -> None:
    report = Report(1000, {"mean_score": 1.5, "scores": [1.0, None]}, False, 7.0)
    assert report.is_valid()
    assert not report._replace(**change).is_valid()
