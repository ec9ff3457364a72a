"""Uploads while the service fails."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from tests.support.cloud_runs import PREFIX, UNCLOSED
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage
from tests.support.uploads import files, wait_for_file
from tests.support.waiting import wait_until
from trainer.contract.job_files import MANIFEST
from trainer.run import upload
from trainer.storage import gcs
from trainer.storage.gcs import Refused, RemoteFolder, Unreachable
from trainer.storage.job_dir import JobDir

pytestmark = UNCLOSED


def test_a_writer_never_waits_for_a_service_that_hangs(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    wait_until(lambda: each._connected)
    hangs = storage.add(Fault(delay=600))
    job_dir.write_text("checkpoint", "0")
    wait_until(lambda: hangs.matched > 0)
    start = time.monotonic()
    for i in range(100):
        job_dir.write_text("checkpoint", str(i))
    assert each.fault is None
    assert time.monotonic() - start < 5  # it hangs for minutes
    storage.down()


def test_what_waits_while_the_service_is_down_arrives_later(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader()
    wait_until(lambda: each._connected)
    storage.down()
    job_dir.write_text("metrics.jsonl", "1\n")
    wait_until(lambda: each.error is not None)
    storage.up()
    wait_for_file(storage, "metrics.jsonl", b"1\n")
    assert each.flush(30) == []


def test_a_service_that_is_down_at_the_start_is_connected_to_later(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    looks: list[dict[str, Any]] = []
    storage.put(f"{PREFIX}/old", b"old")
    storage.down()

    def prepare(remote: RemoteFolder) -> list[str]:
        looks.append(dict(remote.objects))
        return ["old"]

    each = uploader(prepare=prepare)
    job_dir.write_text("metrics.jsonl", "1\n")
    wait_until(lambda: each.error is not None)
    assert looks == []
    storage.up()
    assert each.flush(30) == []
    assert [set(look) for look in looks] == [{"old"}]
    assert files(storage) == {"metrics.jsonl": b"1\n"}


def test_a_failure_is_told_once_and_so_is_its_end(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trainer")
    each = uploader()
    wait_until(lambda: each._connected)
    fails = storage.add(Fault(status=503))
    for i in range(4):
        job_dir.write_text(f"file{i}", "content")
    wait_until(lambda: fails.matched > 10)
    storage.clear()
    assert each.flush(30) == []
    levels = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in levels] == ["WARNING", "INFO"]
    assert f"its files wait in {job_dir.path}" in levels[0][1]
    assert "work again" in levels[1][1]


def test_what_could_not_be_delivered_is_named(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any
) -> None:
    each = uploader(start=False)
    each.connect()
    job_dir.write_text("metrics.jsonl", "1\n")
    job_dir.write_text(MANIFEST, "{}")
    job_dir.write_text("model.keras", "model")
    storage.down()
    assert each.flush(0.5) == ["metrics.jsonl", "model.keras", MANIFEST]
    assert isinstance(each.error, Unreachable)
    storage.up()
    assert each.flush(30) == []


@pytest.mark.parametrize("fault", [Fault(delay=600), Fault(stall=600)], ids=["before", "after"])
def test_a_service_that_hangs_holds_up_the_end_until_the_deadline_only(
    fault: Fault,
    storage: FaultyStorage,
    job_dir: JobDir,
    uploader: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gcs, "TIMEOUT", (5.0, 20.0))
    each = uploader()
    wait_until(lambda: each._connected)
    storage.add(fault)
    job_dir.write_text("checkpoint", "content")
    wait_until(lambda: fault.matched > 0)
    start = time.monotonic()
    assert each.flush(1) == ["checkpoint"]
    assert time.monotonic() - start < 5
    storage.down()


def test_a_last_upload_that_begins_to_hang_ends_at_the_deadline(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gcs, "TIMEOUT", (5.0, 20.0))
    each = uploader(start=False)
    each.connect()
    storage.add(Fault(delay=600))
    job_dir.write_text("checkpoint", "content")
    start = time.monotonic()
    assert each.flush(1) == ["checkpoint"]
    assert time.monotonic() - start < 5
    storage.down()


def test_a_deadline_may_be_as_long_as_one_likes(job_dir: JobDir, uploader: Any) -> None:
    job_dir.write_text("checkpoint", "content")
    assert uploader().flush(1e300) == []


def test_a_refusal_is_believed_before_a_long_deadline(
    storage: FaultyStorage, job_dir: JobDir, uploader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "LONGEST_PAUSE", 0.1)
    each = uploader(start=False)
    each.connect()
    fault = storage.add(Fault.deny("storage.objects.create", name="checkpoint"))
    job_dir.write_text("checkpoint", "content")
    assert each.flush(600) == ["checkpoint"]
    assert fault.matched == upload.MAX_REFUSALS
    assert isinstance(each.error, Refused)
