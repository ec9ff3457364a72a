"""What a folder in a bucket says of every fault of the service."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.cloud_runs import UNCLOSED, WHERE, write
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage
from trainer.storage import gcs as ours
from trainer.storage.address import Address
from trainer.storage.gcs import Refused, RemoteFolder, Unreachable

pytestmark = UNCLOSED


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
