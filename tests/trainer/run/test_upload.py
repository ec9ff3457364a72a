"""Objects follow the files of a folder: whole, in order, not too often, and without a wait."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.cloud_runs import (
    PREFIX,
    UNCLOSED,
    is_upload,
    objects_in,
    remote_folders,
)
from tests.support.storage_server import Fault, FaultyStorage
from tests.support.waiting import wait_until
from trainer.contract.job_files import MANIFEST
from trainer.run import upload
from trainer.run.upload import Uploader
from trainer.storage import gcs, lease
from trainer.storage.file_lock import Taken
from trainer.storage.gcs import Conflict, Refused, RemoteFolder, Unreachable
from trainer.storage.job_dir import JobDir
from trainer.storage.lease import OWNER

pytestmark = UNCLOSED

MIB = 2**20


@pytest.fixture
def service() -> Iterator[FaultyStorage]:
    with FaultyStorage() as service:
        yield service


@pytest.fixture
def open_folder(
    service: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], RemoteFolder]]:
    monkeypatch.setattr(gcs, "TIMEOUT", (1.0, 0.5))
    monkeypatch.setattr(gcs, "READING", 1.0)
    with remote_folders(service, monkeypatch) as open_folder:
        yield open_folder


@pytest.fixture
def job_dir(tmp_path: Path) -> JobDir:
    return JobDir(tmp_path / "job")


@pytest.fixture
def uploader(
    job_dir: JobDir, open_folder: Callable[[], RemoteFolder]
) -> Iterator[Callable[..., Uploader]]:
    """An uploader that looks all the time, unless told otherwise, and is closed in the end."""
    made = []

    def uploader(every: float = 0.0, start: bool = True, **options: Any) -> Uploader:
        made.append(Uploader(job_dir.path, open_folder(), every, **options))
        if start:
            made[-1].start()
        return made[-1]

    yield uploader
    for each in made:
        each.close()
        if each._thread is not None:
            each._thread.join(30)


def files(service: FaultyStorage) -> dict[str, bytes]:
    """What is in the bucket, but for the owner."""
    return {k: v for k, v in objects_in(service).items() if k != OWNER}


def wait_for_file(service: FaultyStorage, path: str, content: bytes) -> None:
    wait_until(lambda: files(service).get(path) == content)


# What arrives


def test_files_and_folders_follow(service: FaultyStorage, job_dir: JobDir, uploader: Any) -> None:
    uploader()
    job_dir.write_text("metrics.jsonl", "1\n")
    (job_dir.path / "saved_model" / "variables").mkdir(parents=True)
    (job_dir.path / "saved_model" / "variables" / "index").write_bytes(b"i")
    wait_for_file(service, "metrics.jsonl", b"1\n")
    wait_for_file(service, "saved_model/variables/index", b"i")
    job_dir.write_text("metrics.jsonl", "1\n2\n")
    wait_for_file(service, "metrics.jsonl", b"1\n2\n")


def test_an_empty_folder_is_delivered_at_once(uploader: Any) -> None:
    assert uploader(start=False).flush(0) == []


def test_files_that_are_being_written_do_not_follow(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()

    def save(path: Path) -> None:
        path.write_bytes(b"half")
        time.sleep(0.3)
        path.write_bytes(b"whole")

    job_dir.write("checkpoint", save)
    assert each.flush(30) == []
    assert files(service) == {"checkpoint": b"whole"}
    assert not any(request.name and "-checkpoint" in request.name for request in service.requests)


def test_readers_meet_whole_files_only(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    wholes = {bytes([i]) * (1000 + 100 * i) for i in range(100)}
    seen = set()
    for whole in sorted(wholes):
        job_dir.write("checkpoint", lambda path, whole=whole: path.write_bytes(whole))
        seen.add(files(service).get("checkpoint", whole))
    assert each.flush(30) == []
    assert files(service)["checkpoint"] == max(wholes)
    assert seen <= wholes


def test_a_file_that_grows_in_place_arrives_as_far_as_it_had_grown(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    with (job_dir.path / "events").open("ab") as file:
        for i in range(50):
            file.write(b"%09d\n" % i)
            file.flush()
            time.sleep(0.01)
            so_far = files(service).get("events", b"")
            assert (job_dir.path / "events").read_bytes().startswith(so_far)
        assert each.flush(30) == []
    assert files(service)["events"] == (job_dir.path / "events").read_bytes()


def test_a_folder_that_is_replaced_arrives_anew(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    def save(text: str) -> Callable[[Path], None]:
        def fill(path: Path) -> None:
            path.mkdir()
            (path / "saved_model.pb").write_text(text)

        return fill

    each = uploader()
    job_dir.write("saved_model", save("old"))
    wait_for_file(service, "saved_model/saved_model.pb", b"old")
    job_dir.write("saved_model", save("new"))
    assert each.flush(30) == []
    assert files(service) == {"saved_model/saved_model.pb": b"new"}


def test_a_large_file_arrives_in_parts(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    content = os.urandom(9 * MIB)
    job_dir.write("checkpoint", lambda path: path.write_bytes(content))
    assert uploader(start=False).flush(60) == []
    assert files(service) == {"checkpoint": content}
    assert "resumable" in {request.kind for request in service.requests}


# In which order, and how often


def test_the_manifest_comes_last(service: FaultyStorage, job_dir: JobDir, uploader: Any) -> None:
    each = uploader(start=False)
    service.add(Fault(kind="insert", name="model", times=2, status=503))
    service.add(Fault(kind="insert", name="metrics", delay=0.3))
    for name in ("model.keras", "metrics.jsonl", "recording.mp4", MANIFEST):
        job_dir.write_text(name, name)
    assert each.flush(30) == []
    wrote = [(r.name or "").removeprefix(f"{PREFIX}/") for r in service.requests if r.wrote]
    wrote = [name for name in wrote if name in files(service)]
    assert sorted(wrote) == sorted(files(service))
    assert wrote[-1] == MANIFEST


def test_the_manifest_does_not_come_while_another_file_is_missing(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    service.add(Fault(kind="insert", name="model", status=503))
    job_dir.write_text("model.keras", "model")
    job_dir.write_text(MANIFEST, "{}")
    assert each.flush(2) == ["model.keras", MANIFEST]
    assert not any(is_upload(MANIFEST)(request) for request in service.requests)


def test_no_object_is_written_more_than_once_a_second(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    service.add(Fault(kind="insert", name="checkpoint", skip=1, times=1, status=429))
    until = time.monotonic() + 3
    while time.monotonic() < until:
        job_dir.write_text("checkpoint", str(time.monotonic()))
        time.sleep(0.01)
    assert each.flush(30) == []
    for path in ("checkpoint", OWNER):
        tries = [r.time for r in service.requests if is_upload(path)(r)]
        assert all(later - earlier > 1 for earlier, later in pairwise(tries)), path
    assert len(service.writes(f"{PREFIX}/checkpoint")) > 2


def test_many_files_are_on_their_way_at_once(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader(start=False)
    each.connect()
    for i in range(upload.THREADS):
        job_dir.write_text(f"file{i}", "content")
    service.add(Fault(kind="insert", name="file", delay=0.4))
    assert each.flush(30) == []
    arrivals = sorted(r.time for r in service.requests if r.name and "file" in r.name)
    assert len(arrivals) == upload.THREADS
    assert arrivals[-1] - arrivals[0] < 0.4  # before the first was answered


# When the service fails


def test_a_writer_never_waits_for_a_service_that_hangs(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    wait_until(lambda: each._connected)
    hangs = service.add(Fault(delay=600))
    job_dir.write_text("checkpoint", "0")
    wait_until(lambda: hangs.matched > 0)
    start = time.monotonic()
    for i in range(100):
        job_dir.write_text("checkpoint", str(i))
    assert each.fault is None
    assert time.monotonic() - start < 5  # it hangs for minutes
    service.down()


def test_what_waits_while_the_service_is_down_arrives_later(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    wait_until(lambda: each._connected)
    service.down()
    job_dir.write_text("metrics.jsonl", "1\n")
    wait_until(lambda: each.error is not None)
    service.up()
    wait_for_file(service, "metrics.jsonl", b"1\n")
    assert each.flush(30) == []


def test_a_service_that_is_down_at_the_start_is_connected_to_later(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    looks: list[dict[str, Any]] = []
    service.put(f"{PREFIX}/old", b"old")
    service.down()

    def prepare(remote: RemoteFolder) -> list[str]:
        looks.append(dict(remote.objects))
        return ["old"]

    each = uploader(prepare=prepare)
    job_dir.write_text("metrics.jsonl", "1\n")
    wait_until(lambda: each.error is not None)
    assert looks == []
    service.up()
    assert each.flush(30) == []
    assert [set(look) for look in looks] == [{"old"}]
    assert files(service) == {"metrics.jsonl": b"1\n"}


def test_a_failure_is_told_once_and_so_is_its_end(
    service: FaultyStorage, job_dir: JobDir, uploader: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trainer")
    each = uploader()
    wait_until(lambda: each._connected)
    fails = service.add(Fault(status=503))
    for i in range(4):
        job_dir.write_text(f"file{i}", "content")
    wait_until(lambda: fails.matched > 10)
    service.clear()
    assert each.flush(30) == []
    levels = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in levels] == ["WARNING", "INFO"]
    assert f"its files wait in {job_dir.path}" in levels[0][1]
    assert "work again" in levels[1][1]


def test_what_could_not_be_delivered_is_named(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader(start=False)
    each.connect()
    job_dir.write_text("metrics.jsonl", "1\n")
    job_dir.write_text(MANIFEST, "{}")
    job_dir.write_text("model.keras", "model")
    service.down()
    assert each.flush(0.5) == ["metrics.jsonl", "model.keras", MANIFEST]
    assert isinstance(each.error, Unreachable)
    service.up()
    assert each.flush(30) == []


@pytest.mark.parametrize("fault", [Fault(delay=600), Fault(stall=600)], ids=["before", "after"])
def test_a_service_that_hangs_holds_up_the_end_until_the_deadline_only(
    fault: Fault,
    service: FaultyStorage,
    job_dir: JobDir,
    uploader: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gcs, "TIMEOUT", (5.0, 20.0))
    each = uploader()
    wait_until(lambda: each._connected)
    service.add(fault)
    job_dir.write_text("checkpoint", "content")
    wait_until(lambda: fault.matched > 0)
    start = time.monotonic()
    assert each.flush(1) == ["checkpoint"]
    assert time.monotonic() - start < 5
    service.down()


def test_a_last_upload_that_begins_to_hang_ends_at_the_deadline(
    service: FaultyStorage, job_dir: JobDir, uploader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "TIMEOUT", (5.0, 20.0))
    each = uploader(start=False)
    each.connect()
    service.add(Fault(delay=600))
    job_dir.write_text("checkpoint", "content")
    start = time.monotonic()
    assert each.flush(1) == ["checkpoint"]
    assert time.monotonic() - start < 5
    service.down()


def test_a_deadline_may_be_as_long_as_one_likes(job_dir: JobDir, uploader: Any) -> None:
    job_dir.write_text("checkpoint", "content")
    assert uploader().flush(1e300) == []


def test_a_refusal_is_believed_before_a_long_deadline(
    service: FaultyStorage, job_dir: JobDir, uploader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "LONGEST_PAUSE", 0.1)
    each = uploader(start=False)
    each.connect()
    fault = service.add(Fault.deny("storage.objects.create", name="checkpoint"))
    job_dir.write_text("checkpoint", "content")
    assert each.flush(600) == ["checkpoint"]
    assert fault.matched == upload.MAX_REFUSALS
    assert isinstance(each.error, Refused)


# When somebody else is there


def test_of_two_mirrors_on_one_address_the_second_is_refused(
    service: FaultyStorage, job_dir: JobDir, uploader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT", 1.1)
    first = uploader()
    job_dir.write_text("checkpoint", "ours")
    wait_for_file(service, "checkpoint", b"ours")
    second = uploader(start=False)
    with pytest.raises(Taken):
        second.connect()
    assert first.flush(30) == []
    assert first.fault is None


def test_a_mirror_whose_folder_was_taken_over_writes_no_more(
    service: FaultyStorage, job_dir: JobDir, uploader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT", 1.1)
    each = uploader()
    wait_until(lambda: each._connected)
    service.put(f"{PREFIX}/{OWNER}", json.dumps({"run": "another"}).encode())
    wait_until(lambda: each.fault is not None)
    assert isinstance(each.fault, Taken)
    job_dir.write_text("checkpoint", "ours")
    assert each.flush(1) == ["checkpoint"]
    each.close()
    assert objects_in(service).keys() == {OWNER}  # and it is not ours to give back


def test_a_file_that_somebody_else_wrote_ends_the_uploads(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    wait_until(lambda: each._connected)
    service.put(f"{PREFIX}/checkpoint", b"theirs")
    job_dir.write_text("checkpoint", "ours")
    wait_until(lambda: each.fault is not None)
    assert isinstance(each.fault, Conflict)
    assert files(service) == {"checkpoint": b"theirs"}


def test_what_preparing_raises_ends_the_uploads(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    def prepare(remote: RemoteFolder) -> tuple[()]:
        raise LookupError("another run")

    each = uploader(prepare=prepare)
    job_dir.write_text("checkpoint", "ours")
    wait_until(lambda: each.fault is not None)
    assert isinstance(each.fault, LookupError)
    assert objects_in(service) == {}


def test_a_mirror_gives_the_folder_back(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    job_dir.write_text("checkpoint", "ours")
    each.flush(30)
    each.close()
    assert objects_in(service).keys() == {"checkpoint"}


def test_what_must_go_goes_with_the_manifest_first(service: FaultyStorage, uploader: Any) -> None:
    old = ("a", "checkpoint", MANIFEST)
    for name in old:
        service.put(f"{PREFIX}/{name}", b"old")
    uploader(start=False, prepare=lambda remote: old).connect()
    deleted = [(r.name or "").split("/")[-1] for r in service.requests if r.kind == "delete"]
    assert [name for name in deleted if name in old] == [MANIFEST, "a", "checkpoint"]


def test_a_folder_that_vanishes_meanwhile_stops_nothing(
    service: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    job_dir.write_text("checkpoint", "ours")
    wait_for_file(service, "checkpoint", b"ours")
    shutil.rmtree(job_dir.path)
    assert each.flush(5) == []
    assert each.fault is None
    assert threading.active_count() < 100
