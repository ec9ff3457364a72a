"""Metrics of a run: reports, reporters, and `metrics.jsonl`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from trainer.contract.job_files import METRICS
from trainer.storage.job_dir import JobDir


class Report(NamedTuple):
    """The metrics of one step, as a checkpoint keeps them."""

    step: int
    metrics: Mapping[str, Any]  # finite numbers only
    final: bool
    time: float  # seconds since the epoch

    def is_valid(self) -> bool:
        """Whether the fields, read from a file, have valid types and ranges."""
        if not isinstance(self.metrics, dict) or type(self.step) is not int:
            return False
        numbers = [self.time, self.metrics.get("mean_score", 0)]
        return (
            0 <= self.step < 2**63
            and isinstance(self.final, bool)
            and all(isinstance(number, int | float) for number in numbers)
            and all(
                math.isfinite(value)
                for value in (self.time, *self.metrics.values())
                if isinstance(value, int | float)
            )
        )


class MetricReporter(Protocol):
    """Receives the metrics of one step after another, in increasing order."""

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None: ...

    def resume(self, reports: Sequence[Report]) -> None:
        """Continues after the reports of an earlier process of the same run."""

    def close(self) -> None: ...


class JsonLinesReporter:
    """Writes a line of `metrics.jsonl` for each report.

    The file is replaced each time, so that a reader never sees half a line.
    """

    def __init__(self, job_dir: JobDir) -> None:
        self._job_dir, self._lines = job_dir, list[str]()

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None:
        self._lines.append(_line(step, finite(metrics), final))
        self._job_dir.write_text(METRICS, "".join(self._lines))

    def resume(self, reports: Sequence[Report]) -> None:
        self._lines = [_line(report.step, report.metrics, report.final) for report in reports]
        self._job_dir.write_text(METRICS, "".join(self._lines))

    def close(self) -> None:
        """Does nothing: no file is open between reports."""


class Reporters:
    """Passes reports on to several reporters, in order, and keeps them for the checkpoint."""

    def __init__(self, reporters: Sequence[MetricReporter]) -> None:
        self._reporters = reporters
        self.reports: list[Report] = []

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None:
        for reporter in self._reporters:
            reporter.report(step, metrics, final=final)
        self.reports.append(Report(step, finite(metrics), final, time.time()))

    def resume(self, reports: Sequence[Report]) -> None:
        for reporter in self._reporters:
            reporter.resume(reports)
        self.reports = list(reports)

    def close(self) -> None:
        for reporter in self._reporters:
            reporter.close()


def finite(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """`metrics` without numbers that are not finite; inside lists they become None."""
    kept = {}
    for name, value in metrics.items():
        if isinstance(value, list):
            value = [None if isinstance(x, float) and not math.isfinite(x) else x for x in value]
        if not isinstance(value, float) or math.isfinite(value):
            kept[name] = value
    return kept


def _line(step: int, metrics: Mapping[str, Any], final: bool) -> str:
    return json.dumps({"step": step, "final": final} | dict(metrics), allow_nan=False) + "\n"


if TYPE_CHECKING:
    _reporters: list[type[MetricReporter]] = [JsonLinesReporter, Reporters]
