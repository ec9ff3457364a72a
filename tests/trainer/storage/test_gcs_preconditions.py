"""Objects in a bucket that somebody else changes, and writes without an answer."""

from __future__ import annotations

import contextlib
import io
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cloud_runs import PREFIX, UNCLOSED, WHERE, remote_folders, write
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage
from trainer.storage import gcs as ours
from trainer.storage.gcs import Conflict, Refused, RemoteFolder, Unreachable

pytestmark = UNCLOSED


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
