"""Metric files are read in any state."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner.execution.metric_file import Measurement, counted, merged, read
from tuner.spec.study_spec import BEST, LAST, MAXIMIZE, MINIMIZE

LIST = st.lists(st.builds(Measurement, st.integers(0, 50), st.floats(-1e6, 1e6)), max_size=8).map(
    lambda found: merged((), found)
)


def metric_file(*lines: object) -> bytes:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return "\n".join(texts).encode()


def course(*values: float) -> list[Measurement]:
    """Reports every ten steps."""
    return [Measurement(10 * (i + 1), value) for i, value in enumerate(values)]


def test_reports_written_by_hypertune_are_read() -> None:
    line = {
        "checkpoint_path": "", "mean_score": "200.0", "global_step": "200",
        "timestamp": 1571969522.1, "trial": "35",
    }  # fmt: skip
    assert read(metric_file(line), "mean_score") == [(200, 200.0)]


def test_other_tags_keys_and_invalid_numbers_are_ignored() -> None:
    data = metric_file(
        {"global_step": "1", "loss": "3"},
        {"global_step": 2, "mean_score": 7, "key_1": "x", "value_1": [1]},
        {"global_step": "3.0", "mean_score": "8", "loss": "1"},
    )
    assert read(data, "mean_score") == [(2, 7.0), (3, 8.0)]


@pytest.mark.parametrize(
    "last",
    ['{"global_step": "9", "mean_', "", "null", "[]", "7", "\x00", '{"mean_score": null}',
     '{"global_step": "9", "mean_score": "nan"}', '{"global_step": "9", "mean_score": "-inf"}',
     '{"global_step": "-9", "mean_score": "1"}', '{"global_step": "inf", "mean_score": "1"}'],
)  # fmt: skip
def test_a_line_without_a_report_is_skipped(last: str) -> None:
    good = {"global_step": "5", "mean_score": "1.5"}
    assert read(metric_file(good, last), "mean_score") == [(5, 1.5)]


@given(st.binary(max_size=200))
def test_any_file_can_be_read(data: bytes) -> None:
    read(data, "mean_score")


@given(LIST, st.integers(0, 400))
def test_a_file_cut_anywhere_gives_a_part_of_its_reports(
    found: list[Measurement], end: int
) -> None:
    lines = [{"global_step": str(step), "m": repr(value)} for step, value in found]
    assert set(read(metric_file(*lines)[:end], "m")) <= set(found)


@given(LIST, LIST)
def test_merged_reports_are_ordered_and_complete(
    a: list[Measurement], b: list[Measurement]
) -> None:
    both = merged(a, b)
    steps = [step for step, _ in both]
    assert steps == sorted({step for step, _ in (*a, *b)})
    assert dict(both) == {**dict(a), **dict(b)}


def test_the_last_counts_unless_the_study_says_the_best() -> None:
    found = course(3, 9, 5)
    assert counted([], LAST, MAXIMIZE) is None
    assert counted(found, LAST, MAXIMIZE) == (30, 5)
    assert counted(found, BEST, MAXIMIZE) == (20, 9)
    assert counted(found, BEST, MINIMIZE) == (10, 3)
