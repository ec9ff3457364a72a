"""Progress of a run: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import logging
import math
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainer.outputs.metrics import MetricReporter, Report

log = logging.getLogger("trainer")


class ConsoleReporter:
    """A progress bar on a terminal; elsewhere a plain line, at most every five seconds."""

    SECONDS_BETWEEN_LINES = 5.0

    def __init__(self, total_steps: int) -> None:
        self._total, self._score = total_steps, "-"
        self._before = 0  # steps that an earlier process took
        self._started = self._printed = time.monotonic()
        self._bar: Any = None
        if sys.stdout.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=total_steps,
                unit=" steps",
                unit_scale=True,
                file=sys.stdout,
                leave=False,
                # tqdm draws nothing on a terminal of unknown size
                ncols=shutil.get_terminal_size().columns,
            )

    def report(self, step: int, metrics: Mapping[str, Any], *, final: bool = False) -> None:
        self._score = f"{metrics['mean_score']:.1f}"
        self.steps(step)

    def resume(self, reports: Sequence[Report]) -> None:
        """Continues at the last report; the speed shown is that of this process."""
        if reports:
            self._before = reports[-1].step
            self.report(self._before, {"mean_score": math.nan, **reports[-1].metrics})

    def steps(self, mean_steps: float) -> None:
        """Shows how many steps the agents have taken, on average."""
        steps = int(mean_steps)
        if self._bar is not None:
            self._bar.set_postfix_str(f"score {self._score}", refresh=False)
            self._bar.update(steps - self._bar.n)
            return
        now = time.monotonic()
        if now - self._printed < self.SECONDS_BETWEEN_LINES:
            return
        self._printed = now
        rate = (steps - self._before) / (now - self._started)
        left = max(self._total - steps, 0) / rate if rate > 0 else math.inf
        log.info(
            "%s of %s steps, %.0f steps/s, score %s, at most %.0f s left",
            f"{steps:,}", f"{self._total:,}", rate, self._score, left,
        )  # fmt: skip

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


if TYPE_CHECKING:
    _reporter: type[MetricReporter] = ConsoleReporter
