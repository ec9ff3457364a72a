"""A folder in a bucket: its address, and whole objects."""

from __future__ import annotations

import io
import os
from collections.abc import Callable

import pytest

from tests.support.cloud_runs import PREFIX, UNCLOSED, write
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage
from trainer.storage.gcs import RemoteFolder

pytestmark = UNCLOSED


MIB = 2**20


def test_what_is_written_is_listed_and_read_under_the_prefix(
    storage: FaultyStorage, open_folder: Callable[[], RemoteFolder]
) -> None:
    write(open_folder(), "saved_model/variables/a b", b"content")
    assert storage.objects() == {f"{PREFIX}/saved_model/variables/a b": b"content"}
    folder = open_folder()
    folder.list()
    assert list(folder.objects) == ["saved_model/variables/a b"]
    assert folder.read("saved_model/variables/a b") == b"content"


def test_neighbours_are_neither_seen_nor_touched(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    neighbours = {"runs/ab/x": b"1", "runs/b": b"2", "x": b"3"}
    for name, content in neighbours.items():
        storage.put(name, content)
    folder.list()
    assert not folder.objects
    folder.check_rights()
    write(folder, "x", b"ours")
    folder.delete("x")
    assert storage.objects() == neighbours


def test_only_objects_are_asked_for_and_only_under_the_prefix(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    folder.list()
    folder.check_rights()
    write(folder, "a", b"1")
    write(folder, "a", b"2")
    folder.read("a")
    folder.delete("a")
    used = {permission for request in storage.requests for permission in request.permissions}
    assert used == {f"storage.objects.{verb}" for verb in ("create", "get", "list", "delete")}
    assert "bucket" not in {request.kind for request in storage.requests}
    names = [request.name for request in storage.requests if request.name is not None]
    assert all(name.startswith(f"{PREFIX}/") for name in names)
    lists = [request.query["prefix"] for request in storage.requests if request.kind == "list"]
    assert lists == [f"{PREFIX}/"]


def test_rights_are_tried_out_without_a_trace(storage: FaultyStorage, folder: RemoteFolder) -> None:
    folder.check_rights()
    assert storage.objects() == {}
    assert folder.objects == {}


def test_an_object_that_has_the_content_already_is_not_written_again(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    for _ in range(2):
        write(folder, "a", b"same")
    assert len(storage.writes(f"{PREFIX}/a")) == 1


def test_only_the_first_bytes_of_a_file_that_grows_are_written(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    folder.write("events", io.BytesIO(b"so far, and more"), 6)
    assert storage.objects() == {f"{PREFIX}/events": b"so far"}


@pytest.mark.parametrize("name, kind", [("a.json", "application/json"), ("recording.mp4", "video")])
def test_an_object_tells_its_type(
    name: str, kind: str, storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, name, b"{}")
    folder.list()
    blob = folder._blob(name)
    blob.reload()
    assert blob.content_type.startswith(kind)


def test_a_file_of_more_than_8_mib_goes_in_parts_and_others_at_once(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, "small", bytes(8 * MIB))
    assert [request.kind for request in storage.requests] == ["insert"]
    storage.requests.clear()
    large = os.urandom(8 * MIB + 1)
    write(folder, "large", large)
    assert {request.kind for request in storage.requests} == {"insert", "resumable"}
    assert storage.objects()[f"{PREFIX}/large"] == large


def test_a_part_that_fails_is_sent_again(storage: FaultyStorage, folder: RemoteFolder) -> None:
    fault = storage.add(Fault(kind="resumable", times=1, status=503))
    write(folder, "large", bytes(9 * MIB))
    assert fault.matched > 1
    assert len(storage.objects()[f"{PREFIX}/large"]) == 9 * MIB


def test_what_was_deleted_already_is_no_fault(storage: FaultyStorage, folder: RemoteFolder) -> None:
    write(folder, "a", b"1")
    storage.delete(f"{PREFIX}/a")
    folder.delete("a")
    assert "a" not in folder.objects
