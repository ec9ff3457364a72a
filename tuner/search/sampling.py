"""What Optuna is to try next: a function of the trials so far and the next one's number."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, create_trial

from tuner.search import space
from tuner.search.space import Value
from tuner.spec.study_spec import GRID, MINIMIZE, RANDOM, Parameter


def sampler(algorithm: str, number: int) -> BaseSampler:
    """TPE where nothing else is asked for.

    Of six of Optuna's samplers its choices were worth most in searches of 30 noisy trials, if not
    by much (`benchmarks.samplers`). It takes words as parameters, counts running trials, and unlike
    the Gaussian process, which came next, it needs no PyTorch.
    """
    if algorithm in (RANDOM, GRID):  # whatever a grid has not planned is not asked for
        return RandomSampler(seed=number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(multivariate=True, constant_liar=True, seed=number)


def planned(
    parameters: Sequence[Parameter], algorithm: str, number: int, first: Mapping[str, Value]
) -> dict[str, Any] | None:
    """The point that is no sampler's choice: of the first trial, and of all in a grid."""
    if number and algorithm != GRID:
        return None
    values = dict(first)
    if algorithm == GRID:
        values = space.grid_point(parameters, number, values)
    return {
        parameter.name: space.point(parameter, values[parameter.name])
        for parameter in parameters
        if parameter.name in values
    }


def asked(
    parameters: Sequence[Parameter],
    algorithm: str,
    direction: str,
    trials: Sequence[FrozenTrial],
    first: Mapping[str, Value],
) -> dict[str, Value]:
    """The values of the trial after `trials`, as a study that holds them would ask for it."""
    study = optuna.create_study(
        direction="minimize" if direction == MINIMIZE else "maximize",
        sampler=sampler(algorithm, len(trials)),
    )
    study.add_trials([_on_axes(parameters, trial) for trial in trials])
    fixed = planned(parameters, algorithm, len(trials), first)
    if fixed is not None:
        study.enqueue_trial(fixed)
    trial = study.ask()
    return {parameter.name: space.suggest(trial, parameter) for parameter in parameters}


def _on_axes(parameters: Sequence[Parameter], trial: FrozenTrial) -> FrozenTrial:
    """All that a sampler looks at."""
    return create_trial(
        state=trial.state,
        values=trial.values,
        params={each.name: space.point(each, trial.params[each.name]) for each in parameters},
        distributions={each.name: space.distribution(each) for each in parameters},
    )
