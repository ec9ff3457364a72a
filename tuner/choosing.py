"""Which trials go on to the next step, by what their scores say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuner import estimates, objective
from tuner.objective import Scores
from tuner.spec import MINIMIZE
from tuner.study import Record
from tuner.trials import SUCCEEDED


def ranked(records: Sequence[Record], aim: str, goal: str) -> list[Record]:
    """Trials with a score, best first, one of each that are alike.

    Scores often meet at a ceiling: of equals the one whose sampled policies do better is first.
    """
    toward = -1 if objective.direction(aim, goal) == MINIMIZE else 1
    found = [
        ((toward * record.value, _sampled(record.scores, goal)), record)
        for record in records
        if record.state == SUCCEEDED and record.value is not None
    ]
    first: dict[tuple[object, ...], Record] = {}
    for _, record in sorted(found, key=lambda pair: pair[0], reverse=True):
        first.setdefault(tuple(record.values.values()), record)
    return list(first.values())


def chosen(
    candidates: Sequence[Record], confirmed: Mapping[int, Scores], aim: str, goal: str
) -> Record | None:
    """The candidate with the highest lower bound on fresh seeds; None where none has a score.

    Args:
        confirmed: trial -> its scores on those seeds, of the trials that succeeded.
    """
    ranks = {}
    for record in candidates:
        scores = confirmed.get(record.number, Scores())
        if values := objective.utilities(scores, aim, goal):
            ranks[record.number] = (estimates.interval(values)[0], _sampled(scores, goal))
    found = [record for record in candidates if record.number in ranks]
    return max(found, key=lambda record: ranks[record.number], default=None)


def _sampled(scores: Scores, goal: str) -> float:
    sign = -1.0 if goal == MINIMIZE else 1.0
    return sign * (scores.sampled_mean or 0.0)
