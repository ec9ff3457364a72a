"""Which trials go on to the next step, by what their scores say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainer.contract.run_record import Scores
from trainer.contract.statistics import interval
from tuner.execution.trial import SUCCEEDED
from tuner.search import objective
from tuner.search.trial_store import Record
from tuner.spec.study_spec import MINIMIZE


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


def remaining(
    candidates: Sequence[Record], confirmed: Mapping[int, Scores], aim: str, goal: str
) -> list[Record]:
    """The candidates that have not clearly lost, in their order.

    A candidate has where its interval lies wholly below that of the one with the highest lower
    bound, or where it has no score.
    """
    found = _intervals(candidates, confirmed, aim, goal)
    least = max((low for low, _ in found.values()), default=0.0)
    return [r for r in candidates if r.number in found and found[r.number][1] >= least]


def chosen(
    candidates: Sequence[Record], confirmed: Mapping[int, Scores], aim: str, goal: str
) -> Record | None:
    """The candidate with the highest lower bound on fresh seeds; None where none has a score.

    Args:
        confirmed: trial -> its scores on those seeds, of the trials that succeeded.
    """
    ranks = {
        number: (low, _sampled(confirmed[number], goal))
        for number, (low, _) in _intervals(candidates, confirmed, aim, goal).items()
    }
    found = [record for record in candidates if record.number in ranks]
    return max(found, key=lambda record: ranks[record.number], default=None)


def first_solved(records: Sequence[Record], confirmed: Mapping[int, Scores]) -> int | None:
    """The first trial whose configuration is solved on fresh seeds; None where none is known.

    It is where the lower bound of what its agents scored there reaches the task's threshold. What
    was not confirmed is not known, so the number is never too small.
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
    """Trial -> the interval of its agents' utilities, of those that have any."""
    found = {}
    for record in candidates:
        scores = confirmed.get(record.number, Scores())
        if values := objective.utilities(scores, aim, goal):
            found[record.number] = interval(values)
    return found


def _sampled(scores: Scores, goal: str) -> float:
    sign = -1.0 if goal == MINIMIZE else 1.0
    return sign * (scores.sampled_mean or 0.0)
