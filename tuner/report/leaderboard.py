"""The rows of the table of trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tuner.execution.metric_file import Measurement
from tuner.report.formats import column, duration
from tuner.report.model import Estimate, Report, Trial


@dataclass(frozen=True)
class Row:
    """A trial in the table."""

    trial: Trial
    values: list[tuple[Any, str]]  # of its parameters, and how they are shown
    time: str
    is_best: bool
    bar: tuple[float, ...] | None = None  # low, high and value in percent of the width
    last: Measurement | None = None  # its last report, if it has no final score


def rows(report: Report) -> list[Row]:
    """One for each trial, in the report's order."""
    found = [trial.estimate for trial in report.trials if trial.estimate]
    low = min((estimate.low for estimate in found), default=0.0)
    width = (max((estimate.high for estimate in found), default=0.0) - low) or 1.0
    columns = [[trial.parameters.get(name) for trial in report.trials] for name in report.space]
    cells = [list(zip(values, column(values), strict=True)) for values in columns]
    best = report.winner
    return [
        Row(
            trial,
            [cell[index] for cell in cells],
            "" if trial.seconds is None else duration(trial.seconds),
            trial is best,
            None if (e := trial.estimate) is None else _percent(e, low, width),
            trial.reports[-1] if trial.reports and not trial.estimate else None,
        )
        for index, trial in enumerate(report.trials)
    ]


def _percent(found: Estimate, low: float, width: float) -> tuple[float, ...]:
    return tuple(round(100 * (x - low) / width, 1) for x in (found.low, found.high, found.value))
