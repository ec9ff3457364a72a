"""Stores the trials of a study in an Optuna journal, and asks Optuna for the next trial.

A journal instead of SQLite: importing and querying an SQL toolkit was half of a study's overhead.

More than 250 lines, since the study is opened, asked and updated through one Optuna object.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState, create_trial

from trainer.contract.errors import Error
from trainer.contract.run_record import Scores
from tuner.execution.trial import FAILED, INFEASIBLE, Outcome
from tuner.search import journal, sampling, space
from tuner.search.differences import differences
from tuner.search.seed_ledger import SeedLedger
from tuner.search.space import Value
from tuner.search.trial_record import RUNNING as RUNNING
from tuner.search.trial_record import Record as Record
from tuner.search.trial_record import as_json, from_json, optunas_state
from tuner.spec.study_spec import GRID, MINIMIZE, Parameter

FILE = "study.journal"
NAME = "study"
OTHERS_CPU, RESULT = "others_cpu_seconds", "result"  # attributes


class StudyError(Error):
    """A study's file cannot be read or written, or belongs to another study."""


@dataclass(frozen=True)
class Known:
    """The results of an earlier study."""

    trials: Sequence[FrozenTrial]
    seeds: Mapping[str, int]  # purpose -> seed; later studies may not reuse them


class Study:
    """Asks Optuna for trials and tells it how they ended."""

    def __init__(
        self,
        folder: Path,
        parameters: Sequence[Parameter],
        algorithm: str,
        direction: str,
        identity: Mapping[str, Any],
        first: Mapping[str, Value],
        learn: Callable[[], Known] | None = None,
    ) -> None:
        """Opens the study in a folder, or creates it; the first trial has the values `first`.

        Args:
            identity: the settings that identify the study, as JSON. Folders of others are refused.
            learn: returns the trials of an earlier study; called once, for a new study.

        Raises:
            StudyError: the folder holds another study, or its file is not a study's.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._parameters, self._algorithm = parameters, algorithm
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._asker = sampling.Asker(parameters, algorithm, direction, dict(first))
        self._left: list[Record] | None = None
        self._records: list[Record] | None = None
        self._running = set[int]()  # started by this process
        self.failures = 0  # of trials in this process, not caused by the machine
        self.machine_faults_in_a_row = 0
        with study_errors(folder / FILE):
            self._storage = journal.opened(folder / FILE)
            self._study = self._begun() or optuna.create_study(
                storage=self._storage,
                study_name=NAME,
                direction="minimize" if direction == MINIMIZE else "maximize",
            )
            ours = json.loads(json.dumps(identity))
            theirs = self._study.user_attrs.get("identity")
            if theirs is None:  # new, or the tuner was killed before the next lines
                if self._study.user_attrs or self._trials:
                    raise StorageInternalError("its study was not created by the tuner")
                self._study.set_user_attr("identity", ours)
                theirs = ours
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                    name = f"{identity.get('objective')} of {identity.get('metric')}"
                    self._study.set_metric_names([name])  # shown by dashboards
        if theirs != ours:
            raise StudyError(
                f"{folder} holds another study: {', '.join(differences(theirs, ours))}."
                " Choose another folder."
            )
        with study_errors(folder / FILE):
            self._others_cpu_seconds = float(self._study.user_attrs.get(OTHERS_CPU, 0.0))
            self._known = self._learn(learn)
            self._check_trials()

    def storage_and_trial(self, number: int) -> tuple[Any, FrozenTrial]:
        """Optuna's storage and its trial, for Optuna's own tools."""
        return self._storage, self._trials[self._known + number - 1]

    @property
    def records(self) -> list[Record]:
        if self._records is None:
            self._records = [self._record(trial) for trial in self._trials[self._known :]]
        return list(self._records)

    @property
    def known(self) -> int:
        """The number of trials taken from an earlier study."""
        return self._known

    @property
    def unfinished(self) -> list[Record]:
        """Trials to run again: interrupted by a killed tuner or by a machine fault."""
        return [
            self._record(trial)
            for trial in self._trials[self._known :]
            if not trial.state.is_finished()
        ]

    def ask(self) -> Record | None:
        """The next trial; None if a grid has no more points.

        It depends only on the trials so far, so a killed and resumed study tries the same points.
        """
        if self._algorithm == GRID and len(self._trials) >= space.grid_size(self._parameters):
            return None
        values = self._asker.ask(self._trials)
        begun = create_trial(
            state=TrialState.RUNNING,
            params=values,
            distributions={each.name: space.value_distribution(each) for each in self._parameters},
            user_attrs={"trial": len(self._trials) - self._known + 1},  # Optuna counts from 0
        )
        # One write: the file has the trial with all of its values, or does not have it.
        self._study.add_trial(begun)
        return self._begin(len(self._trials) - self._known)

    def _begin(self, number: int) -> Record:
        self._running.add(number)
        self._records = None
        return self._record(self._trials[self._known + number - 1])

    def tell(self, number: int, outcome: Outcome, scores: Scores, value: float | None) -> Record:
        """Stores how a trial ended.

        After a machine fault the trial stays unfinished in Optuna, which accepts one end only; the
        next process runs it again.
        """
        if outcome.machine_fault:
            self.add_cpu_seconds(outcome.cpu_seconds)
            outcome = dataclasses.replace(outcome, cpu_seconds=0.0)
        kept, index = as_json(outcome, scores, value), self._known + number - 1
        state, trial_id = optunas_state(kept), self._trials[index]._trial_id
        self._storage.set_trial_user_attr(trial_id, "outcome", kept)
        if not outcome.machine_fault:
            values = [value] if state == TrialState.COMPLETE and value is not None else None
            self._storage.set_trial_state_values(trial_id, state, values)
        self._running.discard(number)
        self._records = None
        record = self._record(self._trials[index])
        if outcome.machine_fault:
            self.machine_faults_in_a_row += 1
        else:
            self.machine_faults_in_a_row = 0
            self.failures += record.state in (FAILED, INFEASIBLE)
        return record

    def next_trial(self, max_trials: int, *, late: bool) -> Record | None:
        """The next trial to run: unfinished ones first, then new ones.

        None ends the search: there are `max_trials`, or it is too late to start new ones.
        """
        if self._left is None:
            self._left = self.unfinished
        if self._left:
            return self._begin(self._left.pop(0).number)
        return None if late or len(self.records) >= max_trials else self.ask()

    def keep_result(self, text: str) -> None:
        """Stores the winner on fresh seeds: dashboards show the search's best, which was lucky."""
        if self._study.user_attrs.get(RESULT) != text:
            self._study.set_user_attr(RESULT, text)

    def claim(self, purpose: str, seed: int | None = None) -> int:
        """Reserves a seed for one purpose; stored before it is used, so that a kill keeps it."""
        ledger = SeedLedger(self.seeds)
        found = ledger.claim(purpose, seed)
        self.remember_seeds(ledger.used)
        return found

    @property
    def seeds(self) -> dict[str, int]:
        """Purpose -> seed, as stored by `remember_seeds`."""
        return dict(self._study.user_attrs.get("seeds", {}))

    def remember_seeds(self, used: Mapping[str, int]) -> None:
        self._study.set_user_attr("seeds", dict(used))

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all trial processes so far, except those that outlived a killed tuner."""
        return self._others_cpu_seconds + cpu_seconds(self._trials[self._known :])

    def add_cpu_seconds(self, seconds: float) -> None:
        """Adds CPU seconds of other runs: confirm, test, interrupted trials."""
        self._others_cpu_seconds += seconds
        self._study.set_user_attr(OTHERS_CPU, self._others_cpu_seconds)

    @property
    def _trials(self) -> list[FrozenTrial]:
        """All trials; those of an earlier study come first."""
        return self._study.get_trials(deepcopy=False)

    def _begun(self) -> optuna.Study | None:
        # Not `load_if_exists`: with it, Optuna writes a line even to a file of another study.
        names = [study.study_name for study in self._storage.get_all_studies()]
        if not names:
            return None
        if NAME not in names:
            raise StorageInternalError(f"it holds a study named {names[0]}")
        return optuna.load_study(study_name=NAME, storage=self._storage)

    def _check_trials(self) -> None:
        """Refuses trials that other programs added or ended. Raises StorageInternalError."""
        ours = {each.name: space.value_distribution(each) for each in self._parameters}
        for trial in self._trials:
            by_tuner = "outcome" in trial.user_attrs or not trial.state.is_finished()
            if not by_tuner or {each.name for each in self._parameters} - trial.params.keys():
                raise StorageInternalError(f"trial {trial.number + 1} was not written by the tuner")
            if trial.distributions != ours:
                raise StorageInternalError(
                    f"trial {trial.number + 1} was stored by an earlier version of the tuner"
                )

    def _learn(self, learn: Callable[[], Known] | None) -> int:
        """Adds the trials of an earlier study once, before the first trial; returns how many."""
        count = self._study.user_attrs.get("known")
        if count is None and learn is not None:
            known = learn()
            for trial in known.trials[len(self._trials) :]:
                self._study.add_trial(trial)
            self.remember_seeds(known.seeds)
            count = len(known.trials)
            self._study.set_user_attr("known", count)
        return int(count or 0)

    def _record(self, trial: FrozenTrial) -> Record:
        values = {each.name: trial.params[each.name] for each in self._parameters}
        number = trial.number + 1 - self._known
        if "outcome" not in trial.user_attrs or number in self._running:
            return Record(number, values, RUNNING)
        return from_json(
            number,
            values,
            trial.user_attrs["outcome"],
            _utc(trial.datetime_start),
            _utc(trial.datetime_complete),
        )


def cpu_seconds(trials: Sequence[FrozenTrial]) -> float:
    """CPU seconds of the processes of trials that have ended."""
    outcomes = (trial.user_attrs.get("outcome", {}) for trial in trials)
    return sum(outcome.get("cpu_seconds", 0.0) for outcome in outcomes)


@contextlib.contextmanager
def study_errors(file: Path) -> Iterator[None]:
    """Turns Optuna's errors about a study's file into StudyError."""
    try:
        yield
    except optuna.exceptions.OptunaError as error:
        raise StudyError(
            f"{file} cannot be used: {error}. Restore a copy of the file, or choose another folder."
        ) from error


def _utc(moment: datetime | None) -> datetime | None:
    """Optuna stores local time without a time zone."""
    return None if moment is None else moment.astimezone(UTC)
