"""Scalars and hyperparameters for TensorBoard, in one event file."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.contract.job_files import EVENTS
from trainer.outputs.metrics import MetricReporter, Report, finite
from trainer.storage import atomic
from trainer.storage.job_dir import JobDir


class TensorBoardReporter:
    """Appends to the event file.

    It is the only file that grows in place, because TensorBoard follows it by its inode. Every
    record carries a checksum, so a reader never accepts half a record.
    """

    def __init__(self, job_dir: JobDir, hyperparameters: Mapping[str, Any]) -> None:
        from tensorboard.plugins.hparams import summary

        self._path = job_dir.write(EVENTS, self._write_header)
        self._file = self._path.open("ab")
        self._add(0, summary.session_start_pb(dict(hyperparameters)), time.time())

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None:
        self.resume([Report(step, finite(metrics), final, time.time())])

    def resume(self, reports: Sequence[Report]) -> None:
        with atomic.errors_naming(self._path):
            for report in reports:
                self._report(report)

    def close(self) -> None:
        with atomic.errors_naming(self._path):
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

        # With TensorFlow installed, TensorBoard builds some summaries of TensorFlow's own class.
        ours = Summary.FromString(summary.SerializeToString())
        self._write(Event(wall_time=now, step=step, summary=ours))

    def _write(self, event: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        RecordWriter(self._file).write(event.SerializeToString())


if TYPE_CHECKING:
    _reporter: type[MetricReporter] = TensorBoardReporter
