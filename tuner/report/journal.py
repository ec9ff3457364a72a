"""What Optuna's file keeps of a study: its trials, its search space, its seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuner.execution.metric_file import Measurement, from_json
from tuner.report.model import Axis
from tuner.search import objective, space
from tuner.search.objective import Scores
from tuner.spec.study_spec import CATEGORICAL, DISCRETE, Parameter


@dataclass(frozen=True)
class KeptTrial:
    """A trial as the study keeps it."""

    name: str
    parameters: Mapping[str, Any]
    state: str = "RUNNING"
    reason: str = ""
    scores: Scores | None = None
    told: Sequence[Measurement] = ()
    seconds: float | None = None


@dataclass(frozen=True)
class KeptStudy:
    """A study as its file keeps it."""

    identity: Mapping[str, Any]
    seeds: Mapping[str, int]
    cpu_seconds: float
    trials: Sequence[KeptTrial]


def read(content: bytes) -> KeptStudy | None:
    """The study in the bytes of its file; None where they hold none that can be read."""
    import optuna

    from tuner.search import journal
    from tuner.search.trial_store import OTHERS_CPU, cpu_seconds

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.load_study(study_name=None, storage=journal.read(content))
        identity = study.user_attrs["identity"]
        parameters = [_parameter(name, kept) for name, kept in identity["parameters"].items()]
        trials = study.get_trials(deepcopy=False)
        own = trials[study.user_attrs.get("known") or 0 :]
        return KeptStudy(
            identity,
            dict(study.user_attrs.get("seeds", {})),
            float(study.user_attrs.get(OTHERS_CPU, 0.0)) + cpu_seconds(own),
            [
                _kept(trial, parameters)
                for trial in trials
                if trial.state != optuna.trial.TrialState.WAITING
            ],
        )
    except (
        optuna.exceptions.OptunaError,
        *(KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError),
    ):
        return None


def axes(identity: Mapping[str, Any]) -> dict[str, Axis]:
    """The search space, by the parameters' names."""
    return {
        name: Axis(
            kept["type"],
            kept["minValue"],
            kept["maxValue"],
            tuple(kept["values"]),
            kept["scaleType"],
        )
        for name, kept in identity["parameters"].items()
    }


def _parameter(name: str, kept: Mapping[str, Any]) -> Parameter:
    values = tuple(kept["values"])
    return Parameter(
        name,
        kept["type"],
        kept["minValue"],
        kept["maxValue"],
        values if kept["type"] == CATEGORICAL else (),
        values if kept["type"] == DISCRETE else (),
        kept["scaleType"],
    )


def _kept(trial: Any, parameters: Sequence[Parameter]) -> KeptTrial:
    values = {
        parameter.name: space.value(parameter, trial.params[parameter.name])
        for parameter in parameters
        if parameter.name in trial.params
    }
    name = str(trial.number + 1)
    outcome = trial.user_attrs.get("outcome")
    if outcome is None:
        return KeptTrial(name, values)
    return KeptTrial(
        name,
        values,
        outcome["state"],
        outcome["reason"],
        objective.from_json(outcome["scores"]),
        from_json(outcome["measurements"]),
        outcome["seconds"],
    )
