"""Where metrics go: the tuning service, `metrics.jsonl` and TensorBoard."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from trainer.artifacts import EVENTS, METRICS, JobDir

log = logging.getLogger("trainer")

MAX_TUNING_REPORTS = 50  # services have failed jobs that sent too many


class MetricReporter(Protocol):
    """Takes the metrics of one step; steps only rise."""

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None: ...

    def close(self) -> None: ...


class HypertuneReporter:
    """Sends the tuned metric, and nothing else, to the tuning service.

    The service counts the last report of a run, so the final score always goes out, as the last.
    """

    def __init__(self, tag: str, expected_reports: int) -> None:
        """`expected_reports`, with the final one, is thinned out to `MAX_TUNING_REPORTS`."""
        self._tag = tag
        self._every = math.ceil(expected_reports / (MAX_TUNING_REPORTS - 1))
        self._seen = 0
        self._last_step = -1
        self._hypertune: Any = None

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None:
        self._seen += 1
        value = metrics["mean_score"]
        if not math.isfinite(value) or not (final or self._seen % self._every == 0):
            return
        step = max(step, self._last_step + 1)  # services want steps to rise strictly
        self._last_step = step
        try:
            self._hypertune = self._hypertune or _hypertune()  # makes the file's folder
            self._hypertune.report_hyperparameter_tuning_metric(
                hyperparameter_metric_tag=self._tag, metric_value=value, global_step=step
            )
        except OSError as error:
            log.error("The tuning metric could not be written to %s.", error.filename or error)
            if in_tuning_trial():
                raise

    def close(self) -> None:
        """Nothing is open between reports."""


class JsonLinesReporter:
    """One line of `metrics.jsonl` a report, rewritten whole so that no reader meets half a line."""

    def __init__(self, job_dir: JobDir) -> None:
        self._job_dir, self._lines = job_dir, list[str]()

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None:
        line = {"step": step, "final": final} | finite(metrics)
        self._lines.append(json.dumps(line, allow_nan=False) + "\n")
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
        self._add(0, summary.session_start_pb(dict(hyperparameters)))

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        prefix = "final" if final else "training"
        values = {
            f"{prefix}/{name}": value
            for name, value in finite(metrics).items()
            if isinstance(value, int | float)
        }
        if f"{prefix}/mean_score" in values:
            values["mean_score"] = metrics["mean_score"]  # the tag that HParams shows
        self._add(
            step, Summary(value=[Summary.Value(tag=k, simple_value=v) for k, v in values.items()])
        )
        if final:
            from tensorboard.plugins.hparams import api_pb2, summary

            self._add(step, summary.session_end_pb(api_pb2.STATUS_SUCCESS))
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _write_header(self, path: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        with path.open("wb") as file:
            self._file = file
            self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def _add(self, step: int, summary: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        # Where TensorFlow is at hand TensorBoard builds some summaries as its own class of them.
        ours = Summary.FromString(summary.SerializeToString())
        self._write(Event(wall_time=time.time(), step=step, summary=ours))

    def _write(self, event: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        RecordWriter(self._file).write(event.SerializeToString())


class Reporters:
    """Fans out to several reporters, in order."""

    def __init__(self, reporters: Sequence[MetricReporter]) -> None:
        self._reporters = reporters

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None:
        for reporter in self._reporters:
            reporter.report(step, metrics, final=final)

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


def _hypertune() -> Any:
    import hypertune

    return hypertune.HyperTune()


if TYPE_CHECKING:
    _reporters: list[type[MetricReporter]] = [
        HypertuneReporter,
        JsonLinesReporter,
        TensorBoardReporter,
        Reporters,
    ]
