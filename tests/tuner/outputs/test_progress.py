"""The progress of a running study."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainer.contract.run_record import Scores
from tuner.execution.metric_file import Measurement
from tuner.execution.trial import FAILED, INFEASIBLE, STOPPED, SUCCEEDED, Outcome
from tuner.execution.trial_command import Task
from tuner.outputs import progress
from tuner.search.trial_record import RUNNING, Record

WINNER = Record(7, {"gamma": 0.95}, SUCCEEDED, value=499.0)
TASK = Task("trial 7 again", 7, Path("study/confirm-1/7"), ())


def outcome(state: str, *last_lines: str) -> Outcome:
    return Outcome(state, "", 0, (), 12.3, 11.0, last_lines)


def test_a_trial_in_one_line() -> None:
    line = progress.trial_line(WINNER, ["--gamma=0.95000001", "--algorithm=pg"], True)
    assert line == "trial 7: 499.0 after 0 s, best so far: gamma 0.95, algorithm pg"
    stopped = Record(8, {"gamma": 0.9}, STOPPED, "the median rule stopped it", seconds=3.4)
    assert progress.trial_line(stopped, ["--gamma=0.9"], False) == (
        "trial 8: STOPPED (the median rule stopped it) after 3 s: gamma 0.9"
    )


def test_the_table_of_running_trials() -> None:
    running: Any = SimpleNamespace(
        task=SimpleNamespace(name="trial 2"),
        measurements=[Measurement(5000, 123.4)],
        started=time.monotonic(),
    )
    records = [dataclasses.replace(WINNER, seconds=10.0), Record(2, {}, RUNNING)]
    assert progress.table([running], records, WINNER, 5, 2) == [
        "",
        "trial 2  0 s  123.4 at 5,000 steps",
        "best     trial 7: 499.0",
        "left     4 trials, about 20 s; then confirm and test",
    ]
    assert progress.table([], records, None, 2, 2)[1] == (
        "left     1 trial, about 5 s; then confirm and test"
    )


@pytest.mark.parametrize(
    "state, scores, line",
    [
        (SUCCEEDED, Scores((3.0,) * 4), "3.00 [3.00, 3.00]"),
        (SUCCEEDED, Scores(reported=2.5), "2.50 [2.50, 2.50]"),
        (FAILED, Scores(reported=2.5), "FAILED"),
    ],
)
def test_a_part_in_one_line(state: str, scores: Scores, line: str) -> None:
    assert progress.part_line(TASK, outcome(state), scores) == f"trial 7 again: {line} after 12 s"


@pytest.mark.parametrize("state", [FAILED, INFEASIBLE])
def test_the_last_words_of_a_run_that_failed(state: str) -> None:
    assert progress.last_words(TASK, outcome(state, "oh", "no")) == [
        "    oh",
        "    no",
        "    log: study/confirm-1/7/trial.log",
    ]


@pytest.mark.parametrize("state", [SUCCEEDED, STOPPED])
def test_successful_runs_show_no_last_lines(state: str) -> None:
    assert progress.last_words(TASK, outcome(state, "oh")) == []


def test_a_refusal_is_the_trainers_own_sentence() -> None:
    assert progress.refusal(TASK, outcome(FAILED, "so", "not so")) == (
        "The trainer refuses the command of trial 7 again: not so"
        " (log: study/confirm-1/7/trial.log)"
    )
    assert "it printed no message" in progress.refusal(TASK, outcome(FAILED))
