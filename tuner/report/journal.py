"""Reads a study's journal: its trials, its search space, its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tuner.search import space
from tuner.search.trial_record import RUNNING, Record, from_json
from tuner.spec.study_spec import CATEGORICAL, DISCRETE, Parameter


@dataclass(frozen=True)
class KeptStudy:
    """A study as stored in its file."""

    identity: Mapping[str, Any]
    space: Mapping[str, Parameter]
    seeds: Mapping[str, int]
    cpu_seconds: float
    records: Sequence[Record]


def read(content: bytes) -> KeptStudy | None:
    """Reads a study from its file's content; None if it is damaged."""
    import optuna
    from optuna.trial import TrialState

    from tuner.search import journal
    from tuner.search.trial_store import OTHERS_CPU, cpu_seconds

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.load_study(study_name=None, storage=journal.read(content))
        identity = dict(study.user_attrs["identity"])
        parameters = {name: _parameter(name, kept) for name, kept in identity["parameters"].items()}
        trials = study.get_trials(deepcopy=False)
        own = trials[study.user_attrs.get("known") or 0 :]
        return KeptStudy(
            identity,
            parameters,
            dict(study.user_attrs.get("seeds", {})),
            float(study.user_attrs.get(OTHERS_CPU, 0.0)) + cpu_seconds(own),
            [
                _record(number, trial, parameters)
                for number, trial in enumerate(own, 1)
                if trial.state != TrialState.WAITING
            ],
        )
    except (
        optuna.exceptions.OptunaError,
        *(KeyError, TypeError, ValueError, AttributeError, ArithmeticError, IndexError),
        RecursionError,
    ):
        return None


def _parameter(name: str, kept: Mapping[str, Any]) -> Parameter:
    low, high, values = kept["minValue"], kept["maxValue"], tuple(kept["values"])
    for bound in (low, high):
        if bound is not None and not isinstance(bound, int | float):
            raise TypeError("a bound is not a number")
    return Parameter(
        name,
        kept["type"],
        low,
        high,
        values if kept["type"] == CATEGORICAL else (),
        values if kept["type"] == DISCRETE else (),
        kept["scaleType"],
    )


def _record(number: int, trial: Any, parameters: Mapping[str, Parameter]) -> Record:
    for name, parameter in parameters.items():
        if trial.distributions[name] != space.value_distribution(parameter):
            raise ValueError("an earlier version of the tuner kept it")
    values = {name: trial.params[name] for name in parameters}
    outcome = trial.user_attrs.get("outcome")
    if outcome is None:
        return Record(number, values, RUNNING)
    times = (_utc(trial.datetime_start), _utc(trial.datetime_complete))
    return from_json(number, values, outcome, *times)


def _utc(moment: datetime | None) -> datetime | None:
    """Optuna keeps local time without its zone."""
    return None if moment is None else moment.astimezone(UTC)
