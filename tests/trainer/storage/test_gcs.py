"""A folder in a bucket: its address, whole objects, preconditions, and what every fault says."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cloud_runs import PREFIX, UNCLOSED, WHERE, remote_folders, write
from tests.support.storage_server import Fault, FaultyStorage
from trainer.storage import gcs as ours
from trainer.storage.address import Address
from trainer.storage.gcs import Conflict, Refused, RemoteFolder, Unreachable

pytestmark = UNCLOSED

MIB = 2**20


@pytest.fixture
def storage() -> Iterator[FaultyStorage]:
    with FaultyStorage() as storage:
        yield storage


@pytest.fixture
def open_folder(
    storage: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], RemoteFolder]]:
    """Views of one folder; a test does not wait for more than a second."""
    monkeypatch.setattr(ours, "TIMEOUT", (1.0, 0.3))
    monkeypatch.setattr(ours, "READING", 1.0)
    with remote_folders(storage, monkeypatch) as open_folder:
        yield open_folder


@pytest.fixture
def folder(open_folder: Callable[[], RemoteFolder]) -> RemoteFolder:
    return open_folder()


# Objects


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


# Preconditions


def test_an_object_that_somebody_made_meanwhile_is_not_replaced(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    storage.put(f"{PREFIX}/a", b"theirs")
    with pytest.raises(Conflict, match=f"Another process writes to {WHERE}"):
        write(folder, "a", b"ours")
    assert storage.objects() == {f"{PREFIX}/a": b"theirs"}


def test_an_object_that_somebody_changed_meanwhile_is_not_replaced(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, "a", b"ours")
    storage.put(f"{PREFIX}/a", b"theirs")
    for _ in range(2):
        with pytest.raises(Conflict):
            write(folder, "a", b"ours, later")
    assert storage.objects() == {f"{PREFIX}/a": b"theirs"}


def test_an_object_that_somebody_changed_meanwhile_is_not_deleted(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, "a", b"ours")
    storage.put(f"{PREFIX}/a", b"theirs")
    with pytest.raises(Conflict):
        folder.delete("a")
    assert storage.objects() == {f"{PREFIX}/a": b"theirs"}


def write_unanswered(storage: FaultyStorage, folder: RemoteFolder, content: bytes) -> None:
    """Writes an object, and hears nothing of it."""
    storage.add(Fault(kind="insert", times=1, lose_answer=True))
    with pytest.raises(Unreachable):
        write(folder, "a", content)


def test_an_object_whose_answer_was_lost_is_known_as_ones_own(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write_unanswered(storage, folder, b"ours")
    write(folder, "a", b"ours")
    assert storage.generation(f"{PREFIX}/a") == folder.objects["a"].generation
    assert len(storage.writes(f"{PREFIX}/a")) == 1


def test_an_object_whose_answer_was_lost_can_be_followed_by_another_content(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, "a", b"first")
    write_unanswered(storage, folder, b"second")
    write(folder, "a", b"third")
    assert storage.objects() == {f"{PREFIX}/a": b"third"}
    assert storage.generation(f"{PREFIX}/a") == folder.objects["a"].generation


def test_an_object_whose_answer_was_lost_can_get_its_former_content_back(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, "a", b"first")
    write_unanswered(storage, folder, b"second")
    write(folder, "a", b"first")
    assert storage.objects() == {f"{PREFIX}/a": b"first"}


def test_a_deletion_whose_answer_was_lost_is_done(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, "a", b"ours")
    storage.add(Fault(kind="delete", times=1, lose_answer=True))
    folder.delete("a")
    assert storage.objects() == {} and "a" not in folder.objects


@pytest.mark.parametrize("carried_out", [True, False])
def test_an_object_can_be_written_and_deleted_after_a_deletion_without_an_answer(
    carried_out: bool, storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, "a", b"first")
    fault = storage.add(Fault(kind="delete", lose_answer=carried_out, reset=not carried_out))
    with pytest.raises(Unreachable):
        folder.delete("a")
    fault.times = 0
    write(folder, "a", b"second")
    assert storage.objects() == {f"{PREFIX}/a": b"second"}
    folder.delete("a")
    assert storage.objects() == {}


def test_an_object_whose_answer_was_lost_can_be_deleted(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write_unanswered(storage, folder, b"ours")
    folder.delete("a")
    assert storage.objects() == {}


@given(st.lists(st.tuples(st.sampled_from("WD"), st.integers(0, 2), st.booleans()), max_size=6))
@settings(max_examples=25, deadline=None)
def test_lost_answers_never_make_us_another_process(
    steps: list[tuple[str, int, bool]],
) -> None:
    """Whatever is written and deleted, and whichever answers are lost: in the end ours is there."""
    with FaultyStorage() as storage, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ours, "READING", 0.1)
        with remote_folders(storage, patch) as open_folder:
            folder = open_folder()
            for what, content, lost in steps:
                kind = "insert" if what == "W" else "delete"
                fault = storage.add(Fault(kind=kind, lose_answer=True)) if lost else None
                with contextlib.suppress(Unreachable):
                    write(folder, "a", b"%d" % content) if what == "W" else folder.delete("a")
                if fault:
                    fault.times = 0
            write(folder, "a", b"last")
            assert storage.objects() == {f"{PREFIX}/a": b"last"}


def test_an_empty_object_of_a_server_that_leaves_its_size_out_is_empty() -> None:
    blob = SimpleNamespace(generation="7", size=None, crc32c="AAAAAA==")
    assert ours._stored(blob) == (7, (0, ours.checksum(io.BytesIO(b""))))


@pytest.mark.parametrize("verb", ["get", "delete"])
def test_trying_the_rights_leaves_no_object_where_one_is_missing(
    verb: str, storage: FaultyStorage, folder: RemoteFolder
) -> None:
    storage.add(Fault.deny(f"storage.objects.{verb}"))
    with pytest.raises(Refused):
        folder.check_rights()
    assert storage.objects() == {}


def test_a_lost_answer_is_no_licence_to_replace_what_others_wrote(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write_unanswered(storage, folder, b"ours")
    storage.put(f"{PREFIX}/a", b"theirs")
    with pytest.raises(Conflict):
        write(folder, "a", b"ours")
    assert storage.objects() == {f"{PREFIX}/a": b"theirs"}


def test_a_download_of_what_somebody_replaced_meanwhile_is_a_conflict(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, "a", b"ours")
    storage.put(f"{PREFIX}/a", b"theirs")
    with pytest.raises(Conflict):
        folder.read("a")


# Faults


@pytest.mark.parametrize("fault", [Fault(corrupt=True), Fault(kind="download", cut=True)])
def test_a_damaged_download_is_never_accepted(
    fault: Fault, storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, "a", bytes(1000))
    storage.add(fault)
    with pytest.raises(Unreachable):
        folder.read("a")


def test_a_download_that_was_damaged_once_is_read_again(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, "a", bytes(1000))
    storage.add(Fault(corrupt=True, times=1))
    assert folder.read("a") == bytes(1000)


@pytest.mark.parametrize("verb", ["list", "create", "get", "delete"])
def test_a_missing_right_is_named_with_the_bucket(
    verb: str, storage: FaultyStorage, folder: RemoteFolder
) -> None:
    storage.add(Fault.deny(f"storage.objects.{verb}"))
    with pytest.raises(Refused) as refusal:
        folder.list()
        folder.check_rights()
        write(folder, "a", b"1")
    assert f"Bucket bucket refuses storage.objects.{verb}" in str(refusal.value)
    assert WHERE in str(refusal.value)
    assert "Storage Object User" in str(refusal.value)


def test_replacing_an_object_without_the_right_to_delete_names_that_right(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, "a", b"1")
    storage.add(Fault.deny("storage.objects.delete"))
    with pytest.raises(Refused, match=r"refuses storage\.objects\.delete"):
        write(folder, "a", b"2")


@pytest.mark.parametrize(
    "status, sentence",
    [
        (400, "Bucket bucket answers"),
        (401, "does not accept the credentials here"),
        (403, "Bucket bucket refuses"),
        (404, "Bucket bucket does not exist, or was deleted"),
    ],
)
def test_a_no_is_a_refusal_at_once(
    status: int, sentence: str, storage: FaultyStorage, folder: RemoteFolder
) -> None:
    fault = storage.add(Fault(status=status))
    for ask in (folder.list, lambda: write(folder, "a", b"1")):
        before = fault.matched
        with pytest.raises(Refused, match=sentence):
            ask()
        assert fault.matched == before + 1


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(status=status) for status in (408, 429, 500, 502, 503, 504)),
        *(Fault(reset=True), Fault(stall=5), Fault(delay=5)),
    ],
)
def test_what_may_pass_makes_the_service_unreachable_for_now(
    fault: Fault, storage: FaultyStorage, folder: RemoteFolder
) -> None:
    write(folder, "a", b"1")
    storage.add(fault)
    for ask in (folder.list, lambda: folder.read("a"), lambda: write(folder, "b", b"1")):
        with pytest.raises(Unreachable) as refusal:
            ask()
        assert "bucket" in str(refusal.value)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=429), Fault(reset=True)])
def test_listing_and_reading_outlast_a_burst(
    fault: Fault,
    storage: FaultyStorage,
    folder: RemoteFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ours, "READING", 20.0)
    write(folder, "a", b"1")
    fault.times = 1
    storage.add(fault)
    folder.list()
    assert folder.read("a") == b"1"


def test_a_service_that_is_down_is_unreachable(
    storage: FaultyStorage, folder: RemoteFolder
) -> None:
    storage.down()
    with pytest.raises(Unreachable, match="Bucket bucket cannot be reached"):
        folder.list()
    storage.up()
    folder.list()


def test_another_bucket_is_refused_by_name(open_folder: Callable[[], RemoteFolder]) -> None:
    folder = open_folder()
    folder.address = Address("elsewhere", "run")
    with pytest.raises(Refused, match="Bucket elsewhere does not exist"):
        folder.list()


def test_missing_credentials_are_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    def none(*_: object, **__: object) -> None:
        raise DefaultCredentialsError("none found")

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(Refused, match="gcloud auth application-default login"):
        RemoteFolder(Address("bucket", "run")).list()
