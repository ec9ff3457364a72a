"""Selects trials by their scores: ranking, candidates for confirmation, the winner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainer.contract.run_record import Scores
from trainer.contract.statistics import interval
from tuner.execution.trial import SUCCEEDED
from tuner.search import objective
from tuner.search.trial_store import Record
from tuner.spec.study_spec import MINIMIZE


def ranked(records: Sequence[Record], aim: str, goal: str) -> list[Record]:
    """Trials with a score, best first; of trials with the same values only the best.

    Many trials reach the maximum score; the better mean of the sampled policies breaks ties.
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


def remaining(
    candidates: Sequence[Record], confirmed: Mapping[int, Scores], aim: str, goal: str
) -> list[Record]:
    """The candidates that have not clearly lost, in their order.

    A candidate has clearly lost if it has no score, or if its interval lies entirely below that of
    the candidate with the highest lower bound.
    """
    found = _intervals(candidates, confirmed, aim, goal)
    least = max((low for low, _ in found.values()), default=0.0)
    return [r for r in candidates if r.number in found and found[r.number][1] >= least]


def chosen(
    candidates: Sequence[Record], confirmed: Mapping[int, Scores], aim: str, goal: str
) -> Record | None:
    """The candidate with the highest lower bound on fresh seeds; None if none has a score.

    Args:
        confirmed: trial -> its scores on fresh seeds, for trials that succeeded.
    """
    ranks = {
        number: (low, _sampled(confirmed[number], goal))
        for number, (low, _) in _intervals(candidates, confirmed, aim, goal).items()
    }
    found = [record for record in candidates if record.number in ranks]
    return max(found, key=lambda record: ranks[record.number], default=None)


def first_solved(records: Sequence[Record], confirmed: Mapping[int, Scores]) -> int | None:
    """The first trial whose configuration solves the task on fresh seeds; None if none is known.

    Solved: the lower bound of its agents' scores reaches the task's threshold. Only confirmed
    trials count, so the number is an upper bound.
    """
    solved = [
        record.values
        for record in records
        if record.number in confirmed and _is_solved(confirmed[record.number])
    ]
    return min((record.number for record in records if record.values in solved), default=None)


def _is_solved(scores: Scores) -> bool:
    if not scores.scores or scores.solved_at is None:
        return False
    return interval(scores.scores)[0] >= scores.solved_at


def _intervals(
    candidates: Sequence[Record], confirmed: Mapping[int, Scores], aim: str, goal: str
) -> dict[int, tuple[float, float]]:
    """Trial -> the interval of its agents' utilities, for trials that have some."""
    found = {}
    for record in candidates:
        scores = confirmed.get(record.number, Scores())
        if values := objective.utilities(scores, aim, goal):
            found[record.number] = interval(values)
    return found


def _sampled(scores: Scores, goal: str) -> float:
    sign = -1.0 if goal == MINIMIZE else 1.0
    return sign * (scores.sampled_mean or 0.0)
