"""Where metrics go: the tuning service, `metrics.jsonl` and TensorBoard."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from trainer.contract.job_files import EVENTS, METRICS
from trainer.storage.job_dir import JobDir

log = logging.getLogger("trainer")

MAX_TUNING_REPORTS = 50  # services have failed jobs that sent too many


class Report(NamedTuple):
    """The metrics of one step, as a checkpoint keeps them."""

    step: int
    metrics: Mapping[str, Any]  # finite ones
    final: bool
    time: float  # seconds since the epoch

    def is_sound(self) -> bool:
        """Whether it is one: what comes from a file may be anything."""
        if not isinstance(self.metrics, dict) or type(self.step) is not int:
            return False
        told = self.metrics.values()
        numbers = [self.time, self.metrics.get("mean_score", 0)]
        return (
            0 <= self.step < 2**63
            and isinstance(self.final, bool)
            and all(isinstance(number, int | float) for number in numbers)
            and all(math.isfinite(x) for x in (self.time, *told) if isinstance(x, int | float))
        )


class MetricReporter(Protocol):
    """Takes the metrics of one step; steps only rise."""

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None: ...

    def resume(self, reports: Sequence[Report]) -> None:
        """Takes up where an earlier process of the same run had left off after these reports."""

    def close(self) -> None: ...


class HypertuneReporter:
    """Sends the tuned metric, and nothing else, to the tuning service.

    The service counts the last report of a run, so the final score always goes out, as the last.
    """

    def __init__(
        self,
        tag: str,
        expected_reports: int,
        *,
        trial: str | None = None,
        restarted: bool = False,
    ) -> None:
        """`expected_reports`, with the final one, is thinned out to `MAX_TUNING_REPORTS`.

        Args:
            restarted: whether what the file holds of this trial was reported by this very run.

        Raises:
            OSError: a tuning service waits for the metric, and its file cannot be written.
        """
        self._tag = tag
        self._every = math.ceil(expected_reports / (MAX_TUNING_REPORTS - 1))
        self._seen = 0
        self._last_step = -1
        self._reported: set[str] = set()  # steps that an earlier process had told
        self._hypertune: Any = None
        self._in_trial = in_tuning_trial()
        with self._or_warn():
            self._hypertune = _hypertune(trial)
            if restarted:  # the library would begin with an empty file
                lines = _earlier_lines(self._hypertune)
                self._hypertune.metrics_queue.extend(lines)
                self._reported = {str(line.get("global_step")) for line in lines if tag in line}

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None:
        value = metrics.get("mean_score", math.nan)
        step, due = self._count(step, value, final)
        if not due or self._hypertune is None or str(step) in self._reported:
            return
        with self._or_warn():
            self._hypertune.report_hyperparameter_tuning_metric(
                hyperparameter_metric_tag=self._tag, metric_value=value, global_step=step
            )

    def resume(self, reports: Sequence[Report]) -> None:
        for report in reports:
            self._count(report.step, report.metrics.get("mean_score", math.nan), report.final)

    def close(self) -> None:
        """Nothing is open between reports."""

    def _count(self, step: int, value: float, final: bool) -> tuple[int, bool]:
        """The step under which a report goes out, and whether it does."""
        self._seen += 1
        due = math.isfinite(value) and (final or self._seen % self._every == 0)
        if due:
            step = max(step, self._last_step + 1)  # services want steps to rise strictly
            self._last_step = step
        return step, due

    @contextlib.contextmanager
    def _or_warn(self) -> Iterator[None]:
        """Lets a trial fail whose metric would be missed; anybody else is told once."""
        try:
            yield
        except OSError as error:
            if self._in_trial:
                raise
            log.warning("The tuning metric cannot be written to %s; the run goes on without.",
                        error.filename or error)  # fmt: skip
            self._hypertune = None


class JsonLinesReporter:
    """One line of `metrics.jsonl` a report, rewritten whole so that no reader meets half a line."""

    def __init__(self, job_dir: JobDir) -> None:
        self._job_dir, self._lines = job_dir, list[str]()

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None:
        self._lines.append(_line(step, finite(metrics), final))
        self._job_dir.write_text(METRICS, "".join(self._lines))

    def resume(self, reports: Sequence[Report]) -> None:
        self._lines = [_line(report.step, report.metrics, report.final) for report in reports]
        self._job_dir.write_text(METRICS, "".join(self._lines))

    def close(self) -> None:
        """Nothing is open between reports."""


class TensorBoardReporter:
    """Scalars and hyperparameters for TensorBoard.

    The one file that grows in place: TensorBoard tails it by its inode, and every record carries
    a checksum, so a reader never takes half a record for a whole one.
    """

    def __init__(self, job_dir: JobDir, hyperparameters: Mapping[str, Any]) -> None:
        from tensorboard.plugins.hparams import summary

        path = job_dir.write(EVENTS, self._write_header)
        self._file = path.open("ab")
        self._add(0, summary.session_start_pb(dict(hyperparameters)), time.time())

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None:
        self._report(Report(step, finite(metrics), final, time.time()))

    def resume(self, reports: Sequence[Report]) -> None:
        for report in reports:
            self._report(report)

    def close(self) -> None:
        self._file.close()

    def _report(self, report: Report) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        step, metrics, final, now = report
        prefix = "final" if final else "training"
        values = {
            f"{prefix}/{name}": value
            for name, value in metrics.items()
            if isinstance(value, int | float)
        }
        if f"{prefix}/mean_score" in values:
            values["mean_score"] = metrics["mean_score"]  # the tag that HParams shows
        summaries = [Summary.Value(tag=k, simple_value=v) for k, v in values.items()]
        self._add(step, Summary(value=summaries), now)
        if final:
            from tensorboard.plugins.hparams import api_pb2, summary

            self._add(step, summary.session_end_pb(api_pb2.STATUS_SUCCESS), now)
        self._file.flush()

    def _write_header(self, path: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        with path.open("wb") as file:
            self._file = file
            self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def _add(self, step: int, summary: Any, now: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        # Where TensorFlow is at hand TensorBoard builds some summaries as its own class of them.
        ours = Summary.FromString(summary.SerializeToString())
        self._write(Event(wall_time=now, step=step, summary=ours))

    def _write(self, event: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        RecordWriter(self._file).write(event.SerializeToString())


class Reporters:
    """Fans out to several reporters, in order, and keeps what a checkpoint needs of them."""

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
    """`metrics` without numbers that are none, and with None for those inside lists."""
    kept = {}
    for name, value in metrics.items():
        if isinstance(value, list):
            value = [None if isinstance(x, float) and not math.isfinite(x) else x for x in value]
        if not isinstance(value, float) or math.isfinite(value):
            kept[name] = value
    return kept


def in_tuning_trial() -> bool:
    """Whether a tuning service waits for the metric: both name the file to write it to."""
    return bool(os.environ.get("CLOUD_ML_HP_METRIC_FILE"))


def _line(step: int, metrics: Mapping[str, Any], final: bool) -> str:
    return json.dumps({"step": step, "final": final} | dict(metrics), allow_nan=False) + "\n"


def _hypertune(trial: str | None) -> Any:
    """The library's reporter, once it is clear that it can write its file."""
    import hypertune

    class HyperTune(hypertune.HyperTune):  # type: ignore[misc]
        """Writes in place, as the library does, but does not empty the file first.

        A kill, or a full disk, would leave it empty, and what had been told would be lost.
        """

        def _dump_metrics_to_file(self) -> None:
            lines = [json.dumps(metric, sort_keys=True) + "\n" for metric in self.metrics_queue]
            with open(os.open(self.metric_path, os.O_WRONLY | os.O_CREAT, 0o666), "wb") as file:
                file.write("".join(lines).encode())
                file.truncate()

    if path := os.environ.get("CLOUD_ML_HP_METRIC_FILE"):
        # The library cannot make the folder of a bare file name.
        os.environ["CLOUD_ML_HP_METRIC_FILE"] = os.path.abspath(path)
    reporter = HyperTune()
    if trial is not None:
        reporter.trial_id = trial
    with open(reporter.metric_path, "a"):
        return reporter


def _earlier_lines(hypertune: Any) -> list[dict[str, Any]]:
    """What the file holds of this trial; a line that was cut short is nobody's."""
    found = []
    for text in Path(hypertune.metric_path).read_text("utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict) and line.get("trial") == str(hypertune.trial_id):
            found.append(line)
    return found


if TYPE_CHECKING:
    _reporters: list[type[MetricReporter]] = [
        HypertuneReporter,
        JsonLinesReporter,
        TensorBoardReporter,
        Reporters,
    ]
