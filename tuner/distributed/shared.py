"""A study that several workers share: the same as `Study` to whoever carries it out.

What counts is the ledger, a study of Optuna's beside this one. The study itself, with a trial for
each trial, is for eyes and for other tools: the worker that was first writes it after the ledger.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from tuner.distributed import leases, mirror
from tuner.distributed.crew import Crew
from tuner.distributed.leases import Share
from tuner.execution.trial import FAILED, INFEASIBLE, Outcome
from tuner.search import sampling, space, trial_record
from tuner.search.differences import differences
from tuner.search.objective import Scores
from tuner.search.trial_record import RUNNING, Record
from tuner.search.trial_store import StudyError
from tuner.spec.study_spec import GRID, MINIMIZE, Parameter

LEDGER = ".ledger"  # after the study's name
_PAUSE = 0.2
_SHOWN_WITHIN = 1.5  # seconds


class SharedStudy:
    """Asks for trials, and tells how they ended, as one worker among several. Close it."""

    def __init__(
        self,
        storage: Any,
        name: str,
        parameters: Sequence[Parameter],
        algorithm: str,
        direction: str,
        identity: Mapping[str, Any],
        first: Mapping[str, Any],
        *,
        plan: Mapping[str, Any],
        heartbeat: float,
        say: Callable[[str], None],
    ) -> None:
        """Joins the study of this name, or begins it.

        Args:
            storage: Optuna's, with patience.
            identity: what makes it this study, as JSON. Another one's name is refused.
            plan: what the workers at work must agree on besides, as the user writes it.

        Raises:
            StudyError: another study has this name, or another plan is being carried out.
        """
        self._storage, self._name, self._parameters = storage, name, parameters
        self._algorithm, self._direction, self._first = algorithm, direction, dict(first)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        ledger = self._ledger()
        self._crew = Crew(storage, ledger, heartbeat, say)
        self._crew.look(at_once=True)
        ours = json.loads(json.dumps(identity))
        if self._crew.leases.identity is None:
            self._crew.say(leases.STUDY, identity=ours)
        if theirs := differences(self._crew.leases.identity, ours):
            raise StudyError(
                f"The storage must hold this study by the name of {name} or none, but holds one"
                f" with {', '.join(theirs)}. Give another --study-name."
            )
        self._mirror = self._find(name) or self._made(name)
        self._mirrored = -1  # events of the ledger that are in the mirror
        self._seen: tuple[int, list[Record]] = (-1, [])
        self._join(plan, heartbeat)

    def close(self) -> None:
        """Leaves, so that others go on at once."""
        self._crew.leave()

    @property
    def records(self) -> list[Record]:
        events = self._crew.leases.events
        if self._seen[0] != events:
            trials = self._crew.leases.trials
            self._seen = events, [self._record(number, trials[number]) for number in trials]
        return self._seen[1]

    @property
    def known(self) -> int:
        """How many trials of an earlier study the search knows of."""
        return 0

    def place(self, number: int) -> tuple[Any, FrozenTrial] | None:
        """Where Optuna's own tools find a running trial; None where nobody has shown it there.

        The worker that leads does so, within a second if it is alive.
        """
        deadline = time.monotonic() + _SHOWN_WITHIN
        while (found := mirror.running(self._storage, self._mirror, number)) is None:
            if time.monotonic() > deadline:
                return None
            time.sleep(_PAUSE)
        return self._storage, found

    @property
    def failures(self) -> int:
        """Trials of all workers that failed since the first of those at work has come."""
        return self._crew.leases.count(FAILED, INFEASIBLE)

    def next_trial(self, max_trials: int, *, late: bool) -> Record | None:
        """A trial to run: one that another worker left, else a new one; None for the moment."""
        self._look()
        state = self._crew.leases
        if late and not state.closed:
            self._crew.say(leases.CLOSE)
        while True:
            known = len(state.trials)
            number = state.next_trial()
            if number is None or (number > known and self._is_whole_grid(known)):
                return None
            point = {} if number <= known else self._point()
            if self._crew.take(number, point=point):
                self._write_mirror()
                return self._record(number, state.trials[number])

    def tell(
        self, number: int, outcome: Outcome, scores: Scores, value: float | None
    ) -> Record | None:
        """Keeps how a trial ended; None where it is another worker's by now."""
        if not self._crew.tell(number, trial_record.as_json(outcome, scores, value)):
            return None
        self._write_mirror()
        return self._record(number, self._crew.leases.trials[number])

    def tuned(self, max_trials: int) -> bool:
        """Whether all trials have ended, and there will be no others."""
        self._look()
        state = self._crew.leases
        if any(share.result is None for share in state.trials.values()):
            return False
        count = len(state.trials)
        if count < max_trials and not state.closed and not self._is_whole_grid(count):
            return False
        self._write_mirror()
        return True

    def may_run(self, key: str) -> bool:
        """Whether a part of confirm or test is this worker's to run."""
        self._look()
        return self._crew.take(key)

    def told(self, key: str, number: int, outcome: Outcome, scores: Scores) -> Record | None:
        """Keeps how a part ended; None where it is another worker's by now."""
        if not self._crew.tell(key, trial_record.as_json(outcome, scores, None)):
            return None
        return self.part(key, number)

    def ended(self, key: str) -> bool:
        self._look()
        return self._crew.leases.ended(key)

    def part(self, key: str, number: int) -> Record | None:
        share = self._crew.leases.parts.get(key)
        if share is None or share.result is None:
            return None
        return trial_record.from_json(number, {}, share.result)

    def lost(self, key: int | str) -> bool:
        """Whether somebody else has taken it over."""
        self._look()
        return not self._crew.owns(key)

    def claim(self, purpose: str, seed: int | None = None) -> int:
        """A seed for one purpose, the same one for all workers."""
        if purpose not in self.seeds:
            self._crew.say(leases.CLAIM, purpose=purpose, seed=seed)
        return self._crew.leases.seeds.claim(purpose, seed)

    @property
    def seeds(self) -> dict[str, int]:
        return self._crew.leases.seeds.used

    @property
    def cpu_seconds(self) -> float:
        """Of all runs whose results count."""
        return sum(result["cpu_seconds"] for result in self._crew.leases.results)

    def add_cpu_seconds(self, seconds: float) -> None:
        """They are told with each result."""

    def _look(self) -> None:
        self._crew.look()
        self._write_mirror()

    def _ledger(self) -> int:
        """The ledger's number. It is made before the study, so a study without one is no study."""
        found = self._find(self._name + LEDGER)
        if found is None and self._find(self._name) is not None:
            found = self._find(self._name + LEDGER)  # somebody made both just now
            if found is None:
                raise StudyError(
                    f"The storage must hold this study by the name of {self._name} or none, but"
                    " holds one that another program has made. Give another --study-name."
                )
        return self._made(self._name + LEDGER) if found is None else found

    def _find(self, name: str) -> int | None:
        try:
            return int(self._storage.get_study_id_from_name(name))
        except KeyError:
            return None

    def _made(self, name: str) -> int:
        small = self._direction == MINIMIZE
        directions = [StudyDirection.MINIMIZE if small else StudyDirection.MAXIMIZE]
        with contextlib.suppress(DuplicatedStudyError):  # another worker's, just now
            return int(self._storage.create_new_study(directions, name))
        return int(self._storage.get_study_id_from_name(name))

    def _join(self, plan: Mapping[str, Any], heartbeat: float) -> None:
        """Becomes a worker, if those that are at work do the same."""
        ours = {**plan, "--heartbeat": heartbeat}
        theirs = self._differing(ours)
        deadline = time.monotonic() + 2 * heartbeat
        while theirs and time.monotonic() < deadline:  # they may be dead
            time.sleep(_PAUSE)
            self._crew.look()
            theirs = self._differing(ours)
        if not theirs:
            self._crew.join(ours)
            if not (theirs := self._differing(ours)):  # another may have come just now
                return
            self._crew.leave()
        raise StudyError(
            "Workers that are at work at the same time must have one plan, but that of the others"
            f" has {', '.join(theirs)}. Give the same, or wait until they have ended."
        )

    def _differing(self, plan: Mapping[str, Any]) -> list[str]:
        state = self._crew.leases
        return differences(state.plan, plan) if state.present else []

    def _is_whole_grid(self, count: int) -> bool:
        return self._algorithm == GRID and count >= space.grid_size(self._parameters)

    def _point(self) -> dict[str, Any]:
        """Where on Optuna's axes the next trial lies: where one worker alone would have it."""
        shares = self._crew.leases.trials.values()
        trials = [mirror.as_optunas(share, self._parameters) for share in shares]
        return sampling.asked(
            self._parameters, self._algorithm, self._direction, trials, self._first
        )

    def _record(self, number: int, share: Share) -> Record:
        values = {each.name: space.value(each, share.point[each.name]) for each in self._parameters}
        if share.result is None:
            return Record(number, values, RUNNING)
        times = (datetime.fromisoformat(share.taken), datetime.fromisoformat(share.told))
        return trial_record.from_json(number, values, share.result, *times)

    def _write_mirror(self) -> None:
        state = self._crew.leases
        if self._mirrored != state.events and self._crew.leads:
            mirror.write(self._storage, self._mirror, state, self._parameters)
            self._mirrored = state.events
