"""Who runs what in a study of several workers: a pure function of the study's ledger.

The ledger is a list of events that only grows, in an order that all workers see alike. So they
come to the same state without asking one another, and an event that is not true any more when its
turn comes (the result of a worker that others had given up) counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tuner.search.seed_ledger import SeedLedger, SeedUsed

Event = Mapping[str, Any]

# kind: what else such an event has. All but STUDY and GONE come from the worker that they name.
STUDY = "study"  # identity: what makes it this study; the first one decides
JOIN = "join"  # worker, name, plan
GONE = "gone"  # worker: it has left, or others have given it up
TAKE = "take"  # worker, share, at, and of a trial its point on Optuna's axes
TELL = "tell"  # worker, share, at, result
CLAIM = "claim"  # purpose, seed
CLOSE = "close"  # no new trials in this session: the time is up

# What all workers of a session must agree on, or they would come to different ends.
MAX_TRIALS, MAX_PARALLEL = "--max-trials", "maxParallelTrials"


@dataclass
class Share:
    """A run of the trainer that one worker at a time has: a trial, or a part of confirm or test."""

    owner: str = ""  # a worker; empty where it is free or has ended
    point: Mapping[str, Any] = field(default_factory=dict)
    taken: str = ""  # when, first
    told: str = ""
    teller: str = ""  # whose result it is
    result: Mapping[str, Any] | None = None
    session: int = 0  # in which it ended


@dataclass
class Leases:
    """What the events so far come to. A session lasts from the first worker to the last."""

    identity: Any = None
    plan: Mapping[str, Any] = field(default_factory=dict)  # the session's
    present: dict[str, int] = field(default_factory=dict)  # worker -> place of its JOIN
    names: dict[str, str] = field(default_factory=dict)
    trials: dict[int, Share] = field(default_factory=dict)  # from 1, without gaps
    parts: dict[str, Share] = field(default_factory=dict)  # of confirm and test
    seeds: SeedLedger = field(default_factory=SeedLedger)
    session: int = 0
    closed: bool = False
    events: int = 0

    def apply(self, event: Event) -> None:
        """The next event of the ledger."""
        place, self.events = self.events, self.events + 1
        worker = event.get("worker", "")
        match event.get("kind"):
            case "study" if self.identity is None:
                self.identity = event["identity"]
            case "join" if worker not in self.names:
                if not self.present:
                    self.session, self.plan, self.closed = self.session + 1, event["plan"], False
                self.present[worker], self.names[worker] = place, event["name"]
            case "gone" if worker in self.present:
                del self.present[worker]
                for share in (*self.trials.values(), *self.parts.values()):
                    if share.owner == worker:
                        share.owner = ""
            case "take" if worker in self.present:
                self._take(event, worker)
            case "tell" if worker in self.present:
                told = self.share(event["share"])
                if told is not None and told.owner == worker:
                    told.owner, told.teller, told.session = "", worker, self.session
                    told.result, told.told = event["result"], event["at"]
            case "claim":
                self._claim(event["purpose"], event["seed"])
            case "close" if worker in self.present:
                self.closed = True

    def share(self, key: int | str) -> Share | None:
        return self.trials.get(key) if isinstance(key, int) else self.parts.get(key)

    def may_take(self, key: int | str) -> bool:
        """Whether a worker that is present would get it now."""
        share = self.share(key)
        if isinstance(key, str):  # "the same command tries again"
            return share is None or self._free(share) or self._failed_before(share)
        if self._is_full():
            return False
        if share is not None:
            return self._free(share)
        return not self.closed and key == len(self.trials) + 1 <= self.plan[MAX_TRIALS]

    @property
    def results(self) -> list[Mapping[str, Any]]:
        """Of all trials and parts."""
        shares = (*self.trials.values(), *self.parts.values())
        return [share.result for share in shares if share.result is not None]

    def count(self, *states: str) -> int:
        """Trials that ended so in this session."""
        return sum(
            share.session == self.session and share.result["state"] in states
            for share in self.trials.values()
            if share.result is not None
        )

    def next_trial(self) -> int | None:
        """The first that a worker would get now: one that was left, else a new one."""
        if not self.present or self._is_full():
            return None
        left = (number for number, share in self.trials.items() if self._free(share))
        number = next(left, len(self.trials) + 1)
        return number if self.may_take(number) else None

    def ended(self, key: str) -> bool:
        """Whether a part needs nobody any more."""
        share = self.parts.get(key)
        return share is not None and share.result is not None and not self._failed_before(share)

    def _is_full(self) -> bool:
        running = sum(bool(share.owner) for share in self.trials.values())
        return bool(running >= self.plan[MAX_PARALLEL])

    def _take(self, event: Event, worker: str) -> None:
        key = event["share"]
        if not self.may_take(key):
            return
        share = self.share(key)
        if share is None:
            share = Share(point=event.get("point", {}), taken=event["at"])
            if isinstance(key, int):
                self.trials[key] = share
            else:
                self.parts[key] = share
        share.owner, share.result = worker, None

    def _claim(self, purpose: str, seed: int | None) -> None:
        try:
            self.seeds.claim(purpose, seed)
        except SeedUsed:
            return  # whoever claimed it is told so

    def _free(self, share: Share) -> bool:
        return not share.owner and share.result is None

    def _failed_before(self, share: Share) -> bool:
        """Whether it came to nothing in an earlier session, so that this one tries again."""
        result = share.result
        return (
            result is not None and result["state"] != "SUCCEEDED" and share.session < self.session
        )
