"""One worker among several: writes to the study's ledger, reads it, shows that it is alive.

The ledger is itself a study of Optuna's, each event a trial of it: making a trial is the one thing
that all its storages do atomically and in one order. Optuna's own heartbeats would not do: only its
databases know them, they need `optimize`, and a trial that is given back gets another number.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuner.distributed import leases
from tuner.distributed.leases import Event, Leases

_LOOK = 0.5  # seconds between two looks into the ledger, at least
_BEATS = 4  # signs of life in the time after which a worker without one is given up


class Crew:
    """A worker's share in a ledger. `join` it, and `leave` it in the end."""

    def __init__(
        self, storage: Any, ledger: int, heartbeat: float, say: Callable[[str], None]
    ) -> None:
        """
        Args:
            storage: Optuna's, with patience.
            heartbeat: seconds without a sign of life after which a worker is given up.
        """
        self.leases = Leases()
        self.me = ""
        self._storage, self._ledger, self._heartbeat, self._say = storage, ledger, heartbeat, say
        self._plan: Mapping[str, Any] = {}
        self._beating = threading.Event()
        self._looked = 0.0
        self._missed: dict[int, FrozenTrial] = {}
        self._silent: dict[str, tuple[Any, float]] = {}  # worker -> its last beat, seconds since

    def join(self, plan: Mapping[str, Any]) -> None:
        """Becomes one of the workers."""
        self._plan = plan
        self._enter()
        threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()

    def leave(self) -> None:
        """Gives back what it has, so that nobody waits for it."""
        self._beating.set()
        me, self.me = self.me, ""
        if me in self.leases.present:
            self._storage = self._storage.impatient
            with contextlib.suppress(Exception):  # else the others find out by themselves
                self._give_up(me)

    @property
    def leads(self) -> bool:
        """Whether it is the one that does what one worker should do for all."""
        return self.me == next(iter(self.leases.present), "")

    def owns(self, key: int | str) -> bool:
        share = self.leases.share(key)
        return share is not None and share.owner == self.me != ""

    def take(self, key: int | str, **more: Any) -> bool:
        """Tries to get a share; of several workers that try, one does."""
        if not self.leases.may_take(key):
            return False
        self.say(leases.TAKE, share=key, at=now(), **more)
        return self.owns(key)

    def tell(self, key: int | str, result: Mapping[str, Any]) -> bool:
        """Keeps a result; False where the share is somebody else's by now, and nothing is kept."""
        self.say(leases.TELL, share=key, at=now(), result=result)
        share = self.leases.share(key)
        return share is not None and share.teller == self.me != ""

    def say(self, kind: str, **more: Any) -> None:
        """Writes an event of this worker's, and reads all up to it."""
        self._write({"kind": kind, "worker": self.me, **more})
        self.look(at_once=True)

    def look(self, *, at_once: bool = False) -> None:
        """Reads what others have written, and gives up those that are silent for too long."""
        if not at_once and time.monotonic() - self._looked < min(_LOOK, self._heartbeat / _BEATS):
            return
        trials = self._read()
        for place in range(self.leases.events, len(trials)):
            self.leases.apply(trials[place].user_attrs.get("event", {}))
        for worker in self._gone(trials):
            if worker not in self.leases.present:  # by the look after another's end
                continue
            name = self.leases.names[worker]
            self._say(f"{name} was silent for {self._heartbeat:g} s: others take over what it had")
            self._give_up(worker)
        if self.me and self.me not in self.leases.present:
            self._say(
                f"this worker was not heard of for {self._heartbeat:g} s, and others took over what"
                " it had; it goes on with something else"
            )
            self._enter()

    def _read(self) -> dict[int, FrozenTrial]:
        """All events by their place, without gaps.

        Optuna's proxy may show an event before the one that came just before it, and its client
        then never asks for that one again; without it workers would come to different states.
        """
        shown = self._storage.get_all_trials(self._ledger, deepcopy=False)
        trials = {trial.number: trial for trial in shown}
        for place in range(max(trials, default=0)):
            if place not in trials:
                if place not in self._missed or not self._missed[place].state.is_finished():
                    self._missed[place] = self._storage.get_trial(self._number(place))
                trials[place] = self._missed[place]
        return trials

    def _number(self, place: int) -> int:
        """Optuna's own of an event."""
        return int(self._storage.get_trial_id_from_study_id_trial_number(self._ledger, place))

    def _gone(self, trials: Mapping[int, FrozenTrial]) -> list[str]:
        """Others that have been silent.

        Only time counts in which this worker looked: neither a pause of its own nor a storage
        that was down for all is anybody else's silence.
        """
        passed = min(time.monotonic() - self._looked, self._heartbeat / _BEATS)
        self._looked = time.monotonic()
        for worker, place in self.leases.present.items():
            beat = trials[place].user_attrs.get("beat")
            before, silent = self._silent.get(worker, (beat, -passed))  # new: seen just now
            self._silent[worker] = (beat, silent + passed if beat == before else 0.0)
        return [
            worker
            for worker in self.leases.present
            if worker != self.me and self._silent[worker][1] > self._heartbeat
        ]

    def _enter(self) -> None:
        self.me = uuid.uuid4().hex
        name = f"worker {socket.gethostname()}:{os.getpid()}"
        self.say(leases.JOIN, name=name, plan=self._plan)

    def _give_up(self, worker: str) -> None:
        place = self.leases.present[worker]
        self._write({"kind": leases.GONE, "worker": worker})
        with contextlib.suppress(UpdateFinishedTrialError):
            self._storage.set_trial_state_values(self._number(place), TrialState.FAIL)
        self.look(at_once=True)

    def _write(self, event: Event) -> None:
        """Twice the same event, after an answer that got lost, is like once."""
        joins = event["kind"] == leases.JOIN  # it alone changes, with each sign of life
        state = TrialState.RUNNING if joins else TrialState.COMPLETE
        kept = create_trial(
            state=state, value=None if joins else 0.0, user_attrs={"event": dict(event)}
        )
        self._storage.create_new_trial(self._ledger, kept)

    def _beat(self) -> None:
        """Signs of life, as long as this process runs."""
        beats, raw = 0, self._storage.impatient
        while not self._beating.wait(self._heartbeat / _BEATS):
            beats += 1
            with contextlib.suppress(Exception):  # whoever looks has the patience
                place = self.leases.present.get(self.me)
                if place is not None:
                    number = raw.get_trial_id_from_study_id_trial_number(self._ledger, place)
                    raw.set_trial_user_attr(number, "beat", beats)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
