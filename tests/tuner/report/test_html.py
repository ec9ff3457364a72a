"""Names and values cannot add elements or scripts to a page."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.support.job_dirs import report_of, write_run
from tuner.report.chart import Chart
from tuner.report.html import as_json, render
from tuner.report.optuna_figures import figures

EVIL = "</script><script>alert(1)</script>"


def test_names_that_look_like_markup_stay_text(tmp_path: Path) -> None:
    for trial in ("1", "2", "3", "4", "5"):
        flags = {EVIL: f"{EVIL}{trial}", "learning_rate": float(trial)}
        write_run(tmp_path / trial, [float(trial), 9.0], flags, film=False)
    page = render(report_of(tmp_path))
    assert EVIL not in page and "<script>alert" not in page
    assert html.escape(EVIL).replace("&#x27;", "&#39;") in page


def test_words_numbers_and_switches_may_be_mixed(tmp_path: Path) -> None:
    for trial, value in enumerate([True, "a", 3, 2.5, "nan"], 1):
        write_run(tmp_path / str(trial), [trial, 9.0], {"x": value, "y": trial}, film=False)
    report = report_of(tmp_path)
    assert {"parallel", "slice-0", "slice-1"} <= figures(report).keys()


@given(st.text(), st.text())
def test_json_in_a_script_ends_no_script(name: str, label: str) -> None:
    found = as_json({name: Chart([{"x": [label]}], {}, label + EVIL, 1)})
    assert not set("<>&\u2028\u2029") & set(found)
    assert json.loads(found)[name]["data"] == [{"x": [label]}]


def test_the_playground_is_part_of_the_page(job: Path) -> None:
    @dataclass
    class Play:
        markup: str = "<p>here one plays</p>"
        style: str = ".play-it { }"
        script: str = "window.plays = 1;"

    assert 'id="play"' not in render(report_of(job))
    page = render(report_of(job), Play())
    assert '<section id="play"><p>here one plays</p></section>' in page
    assert ".play-it { }" in page and "<script>window.plays = 1;</script>" in page
