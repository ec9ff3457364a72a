"""One run at a time on a job dir: who gets it, who may take it over, and who notices.

More than 250 lines, since every case of two owners starts from the same claims.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.cloud_runs import PREFIX, UNCLOSED, WHERE, remote_folders
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage
from trainer.storage import lease
from trainer.storage.file_lock import Taken
from trainer.storage.gcs import RemoteFolder, StorageError, Unreachable
from trainer.storage.lease import OWNER, Lease

pytestmark = UNCLOSED

OBJECT = f"{PREFIX}/{OWNER}"
BRIEFLY = 0.4  # seconds of patience, in tests


@pytest.fixture
def open_folder(
    storage: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], RemoteFolder]]:
    with remote_folders(storage, monkeypatch) as open_folder:
        yield open_folder


@pytest.fixture
def new_claim(
    open_folder: Callable[[], RemoteFolder], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Lease]:
    """Another run's claim; sometimes from another machine. Each renewal is a sign of life."""
    monkeypatch.setattr(lease, "HEARTBEAT", 0.0)

    def new_claim(*, elsewhere: bool = False) -> Lease:
        remote = open_folder()
        remote.list()
        claim = Lease(remote)
        if elsewhere:
            claim._record |= {"host": "elsewhere", "system": "another"}
        return claim

    return new_claim


def owner(storage: FaultyStorage) -> dict[str, Any]:
    found = json.loads(storage.objects()[OBJECT])
    assert isinstance(found, dict)
    return found


# In a bucket


def test_an_empty_folder_is_anybodys(storage: FaultyStorage, new_claim: Any) -> None:
    claim = new_claim()
    claim.take()
    assert owner(storage)["run"] == claim._record["run"]
    assert owner(storage)["pid"] == os.getpid()


def test_of_many_that_race_one_wins(storage: FaultyStorage, new_claim: Any) -> None:
    racers = [new_claim() for _ in range(8)]
    start = threading.Barrier(len(racers))

    def race(claim: Lease) -> bool:
        start.wait()
        try:
            claim.take(BRIEFLY)
        except Taken:
            return False
        return True

    with ThreadPoolExecutor(len(racers)) as pool:
        won = list(pool.map(race, racers))
    assert sum(won) == 1
    assert owner(storage)["run"] == racers[won.index(True)]._record["run"]


def test_of_many_that_race_for_a_dead_owners_folder_one_wins(
    storage: FaultyStorage, new_claim: Any
) -> None:
    new_claim(elsewhere=True).take()
    racers = [new_claim() for _ in range(4)]

    def race(claim: Lease) -> bool:
        try:
            claim.take(BRIEFLY)
        except Taken:
            return False
        return True

    with ThreadPoolExecutor(len(racers)) as pool:
        assert sum(pool.map(race, racers)) == 1


@contextlib.contextmanager
def alive(claim: Any) -> Iterator[None]:
    """The claim's owner gives signs of life, none of which fails."""
    over = threading.Event()

    def live() -> None:
        while not over.wait(BRIEFLY / 8):
            claim.renew()

    with ThreadPoolExecutor(1) as pool:
        life = pool.submit(live)
        try:
            yield
        finally:
            over.set()
        life.result()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_living_owner_is_respected(
    elsewhere: bool, storage: FaultyStorage, new_claim: Any
) -> None:
    living = new_claim(elsewhere=elsewhere)
    living.take()
    with alive(living), pytest.raises(Taken, match=f"Another run works in {WHERE}"):
        new_claim().take(10 * BRIEFLY)
    assert owner(storage)["run"] == living._record["run"]


def test_an_owner_that_gives_a_sign_of_life_while_it_is_looked_at_is_alive(
    new_claim: Any,
) -> None:
    living, claim = new_claim(), new_claim()
    living.take()
    claim._remote.list()
    living.renew()
    with pytest.raises(Taken):
        claim.take(BRIEFLY)


def test_an_owner_of_this_machine_that_has_died_is_replaced_at_once(
    storage: FaultyStorage, new_claim: Any
) -> None:
    dead = new_claim()
    child = multiprocessing.get_context("spawn").Process()
    child.start()
    dead._record |= lease._process(child.pid)
    child.join()
    dead.take()
    claim, storage.requests[:] = new_claim(), []
    claim.take(600)
    assert owner(storage)["run"] == claim._record["run"]
    assert "list" not in [request.kind for request in storage.requests[1:]]  # it did not wait


def test_a_process_that_only_has_a_dead_owners_number_is_not_the_owner(new_claim: Any) -> None:
    dead = new_claim()
    dead._record["born"] -= 1  # this very number, once given to somebody else
    dead.take()
    new_claim().take(600)


def test_an_owner_elsewhere_that_is_silent_for_long_is_replaced(
    storage: FaultyStorage, new_claim: Any
) -> None:
    new_claim(elsewhere=True).take()
    claim, start = new_claim(), time.monotonic()
    claim.take(BRIEFLY)
    assert time.monotonic() - start >= BRIEFLY
    assert owner(storage)["run"] == claim._record["run"]


def test_an_owner_that_gives_the_folder_back_meanwhile_is_followed(
    storage: FaultyStorage, new_claim: Any
) -> None:
    leaving, claim = new_claim(elsewhere=True), new_claim()
    leaving.take()
    claim._remote.list()
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(claim.take, 600)
        time.sleep(0.1)
        leaving.release()
        following.result(30)
    assert owner(storage)["run"] == claim._record["run"]


def test_who_was_replaced_notices_at_the_next_sign_of_life(new_claim: Any) -> None:
    slow = new_claim(elsewhere=True)
    slow.take()
    new_claim().take(BRIEFLY)
    for _ in range(2):
        with pytest.raises(Taken):
            slow.renew()


def test_who_was_replaced_gives_nothing_back(storage: FaultyStorage, new_claim: Any) -> None:
    slow, claim = new_claim(elsewhere=True), None
    slow.take()
    claim = new_claim()
    claim.take(BRIEFLY)
    slow.release()
    assert owner(storage)["run"] == claim._record["run"]


def test_a_folder_that_was_given_back_holds_nothing(storage: FaultyStorage, new_claim: Any) -> None:
    claim = new_claim()
    claim.take()
    claim.renew()
    claim.release()
    assert storage.objects() == {}
    new_claim().take()


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"{}", b"\xff", b'{"pid": []}', b'{"pid": 1e999, "system": ""}', b"["],
)
def test_an_owner_that_cannot_be_read_is_waited_for_like_any_other(
    content: bytes, storage: FaultyStorage, new_claim: Any
) -> None:
    storage.put(OBJECT, content)
    start = time.monotonic()
    new_claim().take(BRIEFLY)
    assert time.monotonic() - start >= BRIEFLY


def test_a_sign_of_life_whose_answer_was_lost_costs_no_claim(
    storage: FaultyStorage, new_claim: Any
) -> None:
    claim = new_claim()
    claim.take()
    storage.add(Fault(kind="insert", times=1, lose_answer=True))
    with pytest.raises(Unreachable):
        claim.renew()
    claim.renew()
    claim.renew()


def test_signs_of_life_keep_their_distance(
    storage: FaultyStorage, new_claim: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = new_claim()
    claim.take()
    monkeypatch.setattr(lease, "HEARTBEAT", 60.0)
    for _ in range(5):
        claim.renew()
    assert len(storage.writes(OBJECT)) == 1


def test_a_service_that_is_down_gives_no_claim(storage: FaultyStorage, new_claim: Any) -> None:
    claim = new_claim()
    storage.down()
    with pytest.raises(StorageError):
        claim.take()


def test_clocks_that_jump_change_nothing(
    storage: FaultyStorage, new_claim: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = itertools.cycle([0.0, 4e9, -1.0, 1e6])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    living = new_claim(elsewhere=True)
    living.take()
    with alive(living), pytest.raises(Taken):
        new_claim().take(10 * BRIEFLY)
    new_claim().take(BRIEFLY)
    with pytest.raises(Taken):
        living.renew()


def test_a_claim_whose_answer_was_lost_is_ours_and_not_waited_for(
    storage: FaultyStorage, new_claim: Any
) -> None:
    claim = new_claim()
    fault = storage.add(Fault(kind="insert", lose_answer=True))
    with pytest.raises(Unreachable):
        claim.take()
    fault.times = 0
    claim._remote.list()
    claim.take(600)
    assert owner(storage)["run"] == claim._record["run"]
    claim.release()
    assert storage.objects() == {}


def test_who_holds_a_folders_lock_need_not_wait_for_its_former_owner(
    storage: FaultyStorage, new_claim: Any, tmp_path: Path
) -> None:
    dead, claim = new_claim(elsewhere=True), new_claim()
    for each in (dead, claim):
        each._folder = each._record["folder"] = lease._identity(tmp_path)
    dead.take()
    claim._remote.list()
    claim.take(600)
    assert owner(storage)["run"] == claim._record["run"]


def test_who_did_not_get_a_folder_does_not_give_it_back(
    storage: FaultyStorage, new_claim: Any
) -> None:
    living = new_claim(elsewhere=True)
    living.take()
    late = new_claim()
    with alive(living), pytest.raises(Taken):
        late.take(10 * BRIEFLY)
    late.release()
    assert owner(storage)["run"] == living._record["run"]


def test_two_views_of_a_process_are_one() -> None:
    process = lease._process(os.getpid())
    assert process == lease._process(os.getpid())
    if sys.platform == "linux":
        assert process["system"] is not None and process["born"] is not None
