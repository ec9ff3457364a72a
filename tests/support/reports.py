"""Reports of a run that is cut and continued, for the tests of every reporter."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from trainer.outputs.metrics import Report, Reporters

NAN, INF = math.nan, math.inf

COURSE = [
    (1000, {"mean_score": 1.5, "entropy": 0.5, "scores": [1.0, 2.0]}, False),
    (2000, {"mean_score": NAN, "entropy": INF, "scores": [NAN, 4.0]}, False),
    (3000, {"mean_score": 3.5, "scores": [3.0, 4.0]}, False),
    (3072, {"mean_score": 4.5, "diverged": []}, True),
]


def through_json(reports: list[Report]) -> list[Report]:
    """As a checkpoint brings them back."""
    texts = [json.dumps(report._asdict(), allow_nan=False) for report in reports]
    return [Report(**json.loads(text)) for text in texts]


def reported(make: Any, folder: Path, cut: int | None = None, saved: int | None = None) -> Path:
    """Reports the course to the reporters that `make` returns.

    With `cut`, a process ends after so many reports, and another one that knows only the first
    `saved` of them continues.
    """
    reporters = Reporters(make(folder, False))
    for index, (step, metrics, final) in enumerate(COURSE):
        if index == cut:
            known = through_json(reporters.reports[:saved])
            reporters.close()
            reporters = Reporters(make(folder, True))
            reporters.resume(known)
            for earlier in COURSE[len(known) : index]:
                reporters.report(earlier[0], earlier[1], final=earlier[2])
        reporters.report(step, metrics, final=final)
    reporters.close()
    return folder


CUTS = [(cut, saved) for cut in range(len(COURSE)) for saved in range(cut + 1)]


def score(value: float) -> dict[str, float]:
    return {"mean_score": value}


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines; strict, so that NaN is an error."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]
