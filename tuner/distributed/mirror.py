"""The trials of a ledger as a study of Optuna's, for its dashboard and for other tools."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuner.distributed.leases import Leases, Share
from tuner.search import space, trial_record
from tuner.spec.study_spec import Parameter

_TRIAL = "trial"  # the attribute with our number, from 1


def as_optunas(share: Share, parameters: Sequence[Parameter]) -> FrozenTrial:
    """A trial in Optuna's terms."""
    state, value = TrialState.RUNNING, None
    if share.result is not None:
        state = trial_record.optunas_state(share.result)
        value = share.result["value"] if state == TrialState.COMPLETE else None
    return create_trial(
        state=state,
        value=value,
        params=dict(share.point),
        distributions={each.name: space.distribution(each) for each in parameters},
    )


def write(storage: Any, study: int, state: Leases, parameters: Sequence[Parameter]) -> None:
    """Brings the study up to the ledger; what another worker writes meanwhile is the same."""
    there: dict[int, FrozenTrial] = {}
    for trial in storage.get_all_trials(study, deepcopy=False):
        number = trial.user_attrs.get(_TRIAL, 0)
        if there.setdefault(number, trial) is not trial and not trial.state.is_finished():
            _end(storage, trial._trial_id, TrialState.FAIL)  # made twice: an answer got lost
    for number, share in state.trials.items():
        if number in there and there[number].state.is_finished():
            continue
        ended = as_optunas(share, parameters)
        if number in there:
            place = there[number]._trial_id
        else:
            begun = create_trial(
                state=TrialState.RUNNING,
                params=ended.params,
                distributions=ended.distributions,
                user_attrs={_TRIAL: number},
            )
            begun.datetime_start = datetime.fromisoformat(share.taken).astimezone()
            begun.datetime_start = begun.datetime_start.replace(tzinfo=None)  # as Optuna has it
            place = storage.create_new_trial(study, begun)
        if share.result is not None:
            with contextlib.suppress(UpdateFinishedTrialError):
                storage.set_trial_user_attr(place, "outcome", share.result)
                _end(storage, place, ended.state, ended.values)


def running(storage: Any, study: int, number: int) -> FrozenTrial | None:
    """The trial that shows ours of that number; None where none does, or it has ended."""
    for trial in storage.get_all_trials(study, deepcopy=False):
        if trial.user_attrs.get(_TRIAL) == number and not trial.state.is_finished():
            return trial
    return None


def _end(
    storage: Any, trial: int, state: TrialState, values: Sequence[float] | None = None
) -> None:
    with contextlib.suppress(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial, state, values)
