"""A trial's record: its state so far, and its JSON in the study's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from optuna.trial import TrialState

from trainer.contract.run_record import Scores
from tuner.execution import metric_file
from tuner.execution.metric_file import Measurement
from tuner.execution.trial import STOPPED, SUCCEEDED, Outcome
from tuner.search import objective
from tuner.search.space import Value

RUNNING = "RUNNING"
_STATES = {SUCCEEDED: TrialState.COMPLETE, STOPPED: TrialState.PRUNED}  # others: FAIL


@dataclass(frozen=True)
class Record:
    """A trial's state and results so far."""

    number: int  # from 1
    values: Mapping[str, Value]
    state: str
    reason: str = ""
    value: float | None = None  # the objective, as displayed
    scores: Scores = field(default_factory=Scores)
    measurements: Sequence[Measurement] = ()
    seconds: float = 0.0
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def over(self) -> bool:
        return self.state != RUNNING


def as_json(outcome: Outcome, scores: Scores, value: float | None) -> dict[str, Any]:
    """How a trial ended, as stored in the study's file."""
    return {
        "state": outcome.state,
        "reason": outcome.reason,
        "exit_code": outcome.exit_code,
        "measurements": metric_file.as_json(outcome.measurements),
        "seconds": outcome.seconds,
        "cpu_seconds": outcome.cpu_seconds,
        "scores": objective.as_json(scores),
        "value": value,
        "machine_fault": outcome.machine_fault,
    }


def from_json(
    number: int,
    values: Mapping[str, Value],
    kept: Mapping[str, Any],
    started: datetime | None = None,
    ended: datetime | None = None,
) -> Record:
    return Record(
        number,
        values,
        kept["state"],
        kept["reason"],
        kept["value"],
        objective.from_json(kept["scores"]),
        metric_file.from_json(kept["measurements"]),
        kept["seconds"],
        started,
        ended,
    )


def optunas_state(kept: Mapping[str, Any]) -> TrialState:
    """The stored outcome as Optuna's state."""
    state = _STATES.get(kept["state"], TrialState.FAIL)
    return TrialState.FAIL if state == TrialState.COMPLETE and kept["value"] is None else state
