"""Asks Optuna for the next point: a function of the trials so far and the next trial's number."""

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
    """The sampler of an algorithm; TPE by default.

    Of six of Optuna's samplers it did best in searches of 30 noisy trials, by a small margin
    (`benchmarks.samplers`). It supports categorical parameters and running trials, and unlike the
    Gaussian process, which came second, it does not need PyTorch.
    """
    if algorithm in (RANDOM, GRID):  # a grid plans all of its points, so its sampler is not used
        return RandomSampler(seed=number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(multivariate=True, constant_liar=True, seed=number)


def planned(
    parameters: Sequence[Parameter], algorithm: str, number: int, first: Mapping[str, Value]
) -> dict[str, Any] | None:
    """The point that is not sampled: that of the first trial, and of every trial in a grid."""
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


class Asker:
    """Asks an in-memory Optuna study with the same trials for the next point.

    It keeps minimal copies of the trials: copying them all for each call is slower than sampling.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        algorithm: str,
        direction: str,
        first: Mapping[str, Value],
    ) -> None:
        self._parameters, self._algorithm, self._first = parameters, algorithm, first
        self._study = optuna.create_study(
            direction="minimize" if direction == MINIMIZE else "maximize"
        )
        self._running: list[FrozenTrial] = []  # copies of unfinished trials

    def ask(self, trials: Sequence[FrozenTrial]) -> dict[str, Value]:
        """The values of the next trial; `trials` must extend those of the last call."""
        self._update(trials)
        self._study.sampler = sampler(self._algorithm, len(trials))
        fixed = planned(self._parameters, self._algorithm, len(trials), self._first)
        if fixed is not None:
            self._study.enqueue_trial(fixed)
        trial = self._study.ask()
        values = {each.name: space.suggest(trial, each) for each in self._parameters}
        for each in self._parameters:  # as a resumed study would read them: values may be rounded
            axis = space.distribution(each)
            point = axis.to_internal_repr(space.point(each, values[each.name]))
            self._study._storage.set_trial_param(trial._trial_id, each.name, point, axis)
        self._running.append(self._study.get_trials(deepcopy=False)[-1])
        return values

    def _update(self, trials: Sequence[FrozenTrial]) -> None:
        storage = self._study._storage
        for copy in self._running:
            trial = trials[copy.number]
            if trial.state.is_finished():
                storage.set_trial_state_values(copy._trial_id, trial.state, trial.values)
        known = len(self._study.get_trials(deepcopy=False))
        self._study.add_trials([_on_axes(self._parameters, each) for each in trials[known:]])
        copies = self._study.get_trials(deepcopy=False)
        self._running = [copy for copy in copies if not copy.state.is_finished()]


def _on_axes(parameters: Sequence[Parameter], trial: FrozenTrial) -> FrozenTrial:
    """A copy of a trial on the search axes, with what a sampler uses."""
    return create_trial(
        state=trial.state,
        values=trial.values,
        params={each.name: space.point(each, trial.params[each.name]) for each in parameters},
        distributions={each.name: space.distribution(each) for each in parameters},
    )
