"""Reports the tuning metric to a tuning service, by cloudml-hypertune."""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.outputs.metrics import MetricReporter, Report
from trainer.storage import atomic

log = logging.getLogger("trainer")

MAX_REPORTS = 50  # services fail jobs that send too many


class HypertuneReporter:
    """Sends the tuned metric, and nothing else, to the tuning service.

    The service uses the last report of a run, so the final score is always sent, as the last one.
    """

    def __init__(
        self,
        tag: str,
        expected_reports: int,
        *,
        metric_file: str | None = None,
        trial: str | None = None,
        restarted: bool = False,
    ) -> None:
        """Of `expected_reports` and the final one, at most `MAX_REPORTS` are sent.

        Args:
            metric_file: where a tuning service reads the metric; None where none waits for it, and
                the library's default file is written.
            restarted: whether an earlier process of this run wrote what the file holds of `trial`.

        Raises:
            OSError: a tuning service expects the metric, and its file cannot be written.
        """
        self._tag = tag
        self._every = math.ceil(expected_reports / (MAX_REPORTS - 1))
        self._seen = 0
        self._last_step = -1
        self._sent: set[str] = set()  # steps that an earlier process has reported
        self._hypertune: Any = None
        self._required = metric_file is not None
        with self._warned_of_errors():
            self._hypertune = _hypertune(metric_file, trial)
            if restarted:  # the library would empty the file
                lines = _earlier_lines(self._hypertune)
                self._hypertune.metrics_queue.extend(lines)
                self._sent = {str(line.get("global_step")) for line in lines if tag in line}

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None:
        value = metrics.get("mean_score", math.nan)
        step, due = self._count(step, value, final)
        if not due or self._hypertune is None or str(step) in self._sent:
            return
        with self._warned_of_errors():
            self._hypertune.report_hyperparameter_tuning_metric(
                hyperparameter_metric_tag=self._tag, metric_value=value, global_step=step
            )

    def resume(self, reports: Sequence[Report]) -> None:
        for report in reports:
            self._count(report.step, report.metrics.get("mean_score", math.nan), report.final)

    def close(self) -> None:
        """Does nothing: no file is open between reports."""

    def _count(self, step: int, value: float, final: bool) -> tuple[int, bool]:
        """The step under which a report is sent, and whether it is sent."""
        self._seen += 1
        due = math.isfinite(value) and (final or self._seen % self._every == 0)
        if due:
            step = max(step, self._last_step + 1)  # services need strictly increasing steps
            self._last_step = step
        return step, due

    @contextlib.contextmanager
    def _warned_of_errors(self) -> Iterator[None]:
        """In a tuning trial an error ends the run; elsewhere it is logged once as a warning."""
        try:
            yield
        except OSError as error:
            if self._required:
                raise
            log.warning("The tuning metric cannot be written to %s; the run continues without it.",
                        error.filename or error)  # fmt: skip
            self._hypertune = None


def _hypertune(metric_file: str | None, trial: str | None) -> Any:
    """The library's reporter, after a test that its file can be written."""
    import hypertune.hypertune

    class HyperTune(hypertune.HyperTune):  # type: ignore[misc]
        """Takes file and trial as arguments; the library reads them from the environment.

        The file is written in place, as the library does, but is not emptied first: after a kill
        or on a full disk it would stay empty, and earlier reports would be lost.
        """

        def __init__(self, path: str) -> None:
            self.metric_path, self.trial_id = path, trial or 0
            entries = hypertune.hypertune._MAX_NUM_METRIC_ENTRIES_TO_PRESERVE
            self.metrics_queue: Any = collections.deque(maxlen=entries)

        def _dump_metrics_to_file(self) -> None:
            lines = [json.dumps(metric, sort_keys=True) + "\n" for metric in self.metrics_queue]
            with (
                atomic.errors_naming(Path(self.metric_path)),
                open(os.open(self.metric_path, os.O_WRONLY | os.O_CREAT, 0o666), "wb") as file,
            ):
                file.write("".join(lines).encode())
                file.truncate()

    path = os.path.abspath(metric_file or hypertune.hypertune._DEFAULT_METRIC_PATH)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a"):
        return HyperTune(path)


def _earlier_lines(hypertune: Any) -> list[dict[str, Any]]:
    """This trial's lines in the file; truncated lines are ignored."""
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
    _reporter: type[MetricReporter] = HypertuneReporter
