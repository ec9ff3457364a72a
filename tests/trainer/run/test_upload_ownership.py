"""Uploads to a folder in a bucket that somebody else works on."""

from __future__ import annotations

import json
import shutil
import threading
from typing import Any

import pytest

from tests.support.cloud_runs import PREFIX, UNCLOSED, objects_in
from tests.support.storage_server import FaultyStorage
from tests.support.uploads import files, wait_for_file
from tests.support.waiting import wait_until
from trainer.contract.job_files import MANIFEST
from trainer.storage import lease
from trainer.storage.file_lock import Taken
from trainer.storage.gcs import Conflict, RemoteFolder
from trainer.storage.job_dir import JobDir
from trainer.storage.lease import OWNER

pytestmark = UNCLOSED


def test_of_two_mirrors_on_one_address_the_second_is_refused(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT", 1.1)
    first = uploader()
    job_dir.write_text("checkpoint", "ours")
    wait_for_file(storage, "checkpoint", b"ours")
    second = uploader(start=False)
    with pytest.raises(Taken):
        second.connect()
    assert first.flush(30) == []
    assert first.fault is None


def test_a_mirror_whose_folder_was_taken_over_writes_no_more(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT", 1.1)
    each = uploader()
    wait_until(lambda: each._connected)
    storage.put(f"{PREFIX}/{OWNER}", json.dumps({"run": "another"}).encode())
    wait_until(lambda: each.fault is not None)
    assert isinstance(each.fault, Taken)
    job_dir.write_text("checkpoint", "ours")
    assert each.flush(1) == ["checkpoint"]
    each.close()
    assert objects_in(storage).keys() == {OWNER}  # and it is not ours to give back


def test_a_file_that_somebody_else_wrote_ends_the_uploads(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    wait_until(lambda: each._connected)
    storage.put(f"{PREFIX}/checkpoint", b"theirs")
    job_dir.write_text("checkpoint", "ours")
    wait_until(lambda: each.fault is not None)
    assert isinstance(each.fault, Conflict)
    assert files(storage) == {"checkpoint": b"theirs"}


def test_what_preparing_raises_ends_the_uploads(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    def prepare(remote: RemoteFolder) -> tuple[()]:
        raise LookupError("another run")

    each = uploader(prepare=prepare)
    job_dir.write_text("checkpoint", "ours")
    wait_until(lambda: each.fault is not None)
    assert isinstance(each.fault, LookupError)
    assert objects_in(storage) == {}


def test_a_mirror_gives_the_folder_back(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    job_dir.write_text("checkpoint", "ours")
    each.flush(30)
    each.close()
    assert objects_in(storage).keys() == {"checkpoint"}


def test_what_must_go_goes_with_the_manifest_first(storage: FaultyStorage, uploader: Any) -> None:
    old = ("a", "checkpoint", MANIFEST)
    for name in old:
        storage.put(f"{PREFIX}/{name}", b"old")
    uploader(start=False, prepare=lambda remote: old).connect()
    deleted = [(r.name or "").split("/")[-1] for r in storage.requests if r.kind == "delete"]
    assert [name for name in deleted if name in old] == [MANIFEST, "a", "checkpoint"]


def test_a_folder_that_vanishes_meanwhile_stops_nothing(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    job_dir.write_text("checkpoint", "ours")
    wait_for_file(storage, "checkpoint", b"ours")
    shutil.rmtree(job_dir.path)
    assert each.flush(5) == []
    assert each.fault is None
    assert threading.active_count() < 100
