"""Objects follow the files of a folder: whole, in order, not too often, and without a wait."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support.cloud_runs import PREFIX, UNCLOSED, is_upload
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage
from tests.support.uploads import files, wait_for_file
from trainer.contract.job_files import MANIFEST
from trainer.run import upload
from trainer.storage.job_dir import JobDir
from trainer.storage.lease import OWNER

pytestmark = UNCLOSED


MIB = 2**20


# What arrives


def test_files_and_folders_follow(storage: FaultyStorage, job_dir: JobDir, uploader: Any) -> None:
    uploader()
    job_dir.write_text("metrics.jsonl", "1\n")
    (job_dir.path / "saved_model" / "variables").mkdir(parents=True)
    (job_dir.path / "saved_model" / "variables" / "index").write_bytes(b"i")
    wait_for_file(storage, "metrics.jsonl", b"1\n")
    wait_for_file(storage, "saved_model/variables/index", b"i")
    job_dir.write_text("metrics.jsonl", "1\n2\n")
    wait_for_file(storage, "metrics.jsonl", b"1\n2\n")


def test_an_empty_folder_is_delivered_at_once(uploader: Any) -> None:
    assert uploader(start=False).flush(0) == []


def test_files_that_are_being_written_do_not_follow(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()

    def save(path: Path) -> None:
        path.write_bytes(b"half")
        time.sleep(0.3)
        path.write_bytes(b"whole")

    job_dir.write("checkpoint", save)
    assert each.flush(30) == []
    assert files(storage) == {"checkpoint": b"whole"}
    assert not any(request.name and "-checkpoint" in request.name for request in storage.requests)


def test_readers_meet_whole_files_only(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    wholes = {bytes([i]) * (1000 + 100 * i) for i in range(100)}
    seen = set()
    for whole in sorted(wholes):
        job_dir.write("checkpoint", lambda path, whole=whole: path.write_bytes(whole))
        seen.add(files(storage).get("checkpoint", whole))
    assert each.flush(30) == []
    assert files(storage)["checkpoint"] == max(wholes)
    assert seen <= wholes


def test_a_file_that_grows_in_place_arrives_as_far_as_it_had_grown(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    with (job_dir.path / "events").open("ab") as file:
        for i in range(50):
            file.write(b"%09d\n" % i)
            file.flush()
            time.sleep(0.01)
            so_far = files(storage).get("events", b"")
            assert (job_dir.path / "events").read_bytes().startswith(so_far)
        assert each.flush(30) == []
    assert files(storage)["events"] == (job_dir.path / "events").read_bytes()


def test_a_folder_that_is_replaced_arrives_anew(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    def save(text: str) -> Callable[[Path], None]:
        def fill(path: Path) -> None:
            path.mkdir()
            (path / "saved_model.pb").write_text(text)

        return fill

    each = uploader()
    job_dir.write("saved_model", save("old"))
    wait_for_file(storage, "saved_model/saved_model.pb", b"old")
    job_dir.write("saved_model", save("new"))
    assert each.flush(30) == []
    assert files(storage) == {"saved_model/saved_model.pb": b"new"}


def test_a_large_file_arrives_in_parts(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    content = os.urandom(9 * MIB)
    job_dir.write("checkpoint", lambda path: path.write_bytes(content))
    assert uploader(start=False).flush(60) == []
    assert files(storage) == {"checkpoint": content}
    assert "resumable" in {request.kind for request in storage.requests}


# In which order, and how often


def test_the_manifest_comes_last(storage: FaultyStorage, job_dir: JobDir, uploader: Any) -> None:
    each = uploader(start=False)
    storage.add(Fault(kind="insert", name="model", times=2, status=503))
    storage.add(Fault(kind="insert", name="metrics", delay=0.3))
    for name in ("model.keras", "metrics.jsonl", "recording.mp4", MANIFEST):
        job_dir.write_text(name, name)
    assert each.flush(30) == []
    wrote = [(r.name or "").removeprefix(f"{PREFIX}/") for r in storage.requests if r.wrote]
    wrote = [name for name in wrote if name in files(storage)]
    assert sorted(wrote) == sorted(files(storage))
    assert wrote[-1] == MANIFEST


def test_the_manifest_does_not_come_while_another_file_is_missing(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    storage.add(Fault(kind="insert", name="model", status=503))
    job_dir.write_text("model.keras", "model")
    job_dir.write_text(MANIFEST, "{}")
    assert each.flush(2) == ["model.keras", MANIFEST]
    assert not any(is_upload(MANIFEST)(request) for request in storage.requests)


def test_no_object_is_written_more_than_once_a_second(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    storage.add(Fault(kind="insert", name="checkpoint", skip=1, times=1, status=429))
    until = time.monotonic() + 3
    while time.monotonic() < until:
        job_dir.write_text("checkpoint", str(time.monotonic()))
        time.sleep(0.01)
    assert each.flush(30) == []
    for path in ("checkpoint", OWNER):
        tries = [r.time for r in storage.requests if is_upload(path)(r)]
        assert all(later - earlier > 1 for earlier, later in pairwise(tries)), path
    assert len(storage.writes(f"{PREFIX}/checkpoint")) > 2


def test_many_files_are_on_their_way_at_once(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader(start=False)
    each.connect()
    for i in range(upload.THREADS):
        job_dir.write_text(f"file{i}", "content")
    # None of them is answered before all have come.
    together = threading.Barrier(upload.THREADS)
    storage.add(Fault(kind="insert", name="file", together=together, times=upload.THREADS))
    assert each.flush(30) == []
    assert not together.broken
