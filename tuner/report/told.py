"""What `study.json` tells of a study's trials: all there is where its file is elsewhere."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.cloud import jobs
from tuner.cloud.jobs import JobError, TuningJob
from tuner.execution.metric_file import Measurement
from tuner.report.journal import KeptTrial
from tuner.report.model import Axis
from tuner.search.objective import Scores
from tuner.spec.study_spec import CATEGORICAL, DOUBLE, LOG

_WIDE = 10.0  # a range whose ends differ by this factor is looked at in logarithms


def job(content: Mapping[str, Any]) -> TuningJob | None:
    """The study in the shape of either service; None where it is none."""
    make = jobs.vertex_job if "studySpec" in content else jobs.ai_platform_job
    with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError, JobError):
        return make(content)
    return None


def trials(found: TuningJob) -> list[KeptTrial]:
    return [
        KeptTrial(
            trial.id,
            {name: as_value(value) for name, value in trial.parameters.items()},
            trial.state.removesuffix(" (stopped early)").replace("ACTIVE", "RUNNING"),
            "stopped early" if "stopped early" in trial.state else "",
            Scores(reported=trial.score),
            () if trial.score is None else [Measurement(trial.step or 0, trial.score)],
        )
        for trial in found.trials
    ]


def as_value(value: Any) -> Any:
    """A number or a word: AI Platform writes numbers as words, and a file may hold anything."""
    for kind in (int, float):
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            found = kind(str(value))
            if math.isfinite(found):
                return found
    return str(value)


def seen(points: Sequence[Mapping[str, Any]]) -> dict[str, Axis]:
    """The axes that these trials lie on."""
    found = {}
    for name in dict.fromkeys(name for point in points for name in point):
        values = [point[name] for point in points if name in point]
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            low, high = float(min(values)), float(max(values))
            scale = LOG if low > 0 and high / low >= _WIDE else ""
            found[name] = Axis(DOUBLE, low, high, (), scale, seen=True)
        else:
            words = tuple(dict.fromkeys(map(str, values)))
            found[name] = Axis(CATEGORICAL, None, None, words, seen=True)
    return found
