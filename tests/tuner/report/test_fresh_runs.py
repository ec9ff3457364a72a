"""Runs of the newest confirm and test stages are found."""

from __future__ import annotations

from trainer.contract.run_record import Scores
from tuner.report import fresh_runs
from tuner.report.model import Run


def test_both_parts_of_confirming_count_and_earlier_ones_do_not() -> None:
    known = {
        "tuning": 0,
        "confirming with 6 of 12 seeds": 1,
        "confirming with the other 6 of 12 seeds": 2,
        "testing trial 3 with 20 seeds": 3,
        "confirming with 5 of 10 seeds": 4,
        "confirming with the other 5 of 10 seeds": 5,
        "testing trial 3 with 30 seeds": 6,
    }
    assert fresh_runs._latest(known, "confirming ") == [4, 5]
    assert fresh_runs._latest(known, "testing trial 3 ") == [6]
    assert fresh_runs._latest(known, "testing trial 4 ") == []
    parts = [Run(f"confirm-{n}/3", scores=Scores(scores=(float(n),), steps=(10,))) for n in (4, 5)]
    both = fresh_runs._joined(*parts)
    assert (both.scores.scores, both.scores.steps) == ((4.0, 5.0), (10, 10))
