"""Faults of the test storage, as the real client meets them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.bucket_client import AGAIN, BRIEFLY, upload
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage

with warnings.catch_warnings():  # for it misses a package that only gRPC needs
    warnings.simplefilter("ignore", ImportWarning)
    from google.api_core.exceptions import (
        Forbidden,
        GoogleAPICallError,
        NotFound,
        PreconditionFailed,
        RetryError,
        ServiceUnavailable,
        TooManyRequests,
    )
    from google.cloud import storage as google_storage
    from google.cloud.storage.exceptions import DataCorruption


@pytest.mark.parametrize(
    "status, kind", [(404, NotFound), (429, TooManyRequests), (503, ServiceUnavailable)]
)
def test_an_error_is_the_clients_exception_and_nothing_is_done(
    storage: FaultyStorage,
    bucket: google_storage.Bucket,
    status: int,
    kind: type[GoogleAPICallError],
) -> None:
    storage.add(Fault("insert", status=status))
    with pytest.raises(kind):
        upload(bucket, "a")
    assert storage.objects() == {}
    assert [r.status for r in storage.requests] == [status]
    assert storage.writes("a") == []


@pytest.mark.parametrize(
    "permission, ask",
    [
        ("storage.objects.create", lambda bucket: upload(bucket, "new")),
        ("storage.objects.delete", lambda bucket: upload(bucket, "old")),
        ("storage.objects.delete", lambda bucket: bucket.blob("old").delete()),
        ("storage.objects.get", lambda bucket: bucket.blob("old").reload()),
        ("storage.objects.get", lambda bucket: bucket.blob("old").download_as_bytes()),
        ("storage.objects.list", lambda bucket: list(bucket.list_blobs())),
        ("storage.buckets.get", lambda bucket: bucket.reload()),
    ],
)
def test_a_denial_names_the_permission(
    storage: FaultyStorage,
    bucket: google_storage.Bucket,
    permission: str,
    ask: Callable[[google_storage.Bucket], object],
) -> None:
    storage.put("old", b"")
    storage.add(Fault.deny(permission))
    with pytest.raises(Forbidden, match=f"'{permission}' denied on resource"):
        ask(bucket)
    assert storage.objects() == {"old": b""}


def test_who_may_not_delete_may_make_new_objects(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    storage.add(Fault.deny("storage.objects.delete"))
    upload(bucket, "new")
    assert storage.objects() == {"new": b"data"}


def test_a_fault_can_be_for_some_names_and_some_times(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    fault = storage.add(Fault("insert", r"\.json$", skip=1, times=2, status=503))
    for name in ("a.json", "a.bin", "b.json", "c.json", "d.json"):
        upload(bucket, name, retry=AGAIN)
    assert [(r.name, r.status) for r in storage.requests] == [
        ("a.json", 200),
        ("a.bin", 200),
        ("b.json", 503),
        ("b.json", 503),
        ("b.json", 200),
        ("c.json", 200),
        ("d.json", 200),
    ]
    assert fault.matched == 6


def test_faults_can_be_cleared(storage: FaultyStorage, bucket: google_storage.Bucket) -> None:
    storage.add(Fault(status=503))
    storage.clear()
    upload(bucket, "a")


def test_a_reset_leaves_nothing_done(storage: FaultyStorage, bucket: google_storage.Bucket) -> None:
    storage.add(Fault("insert", reset=True))
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        upload(bucket, "a")
    assert storage.objects() == {}
    assert storage.requests[0].status == "reset"


def test_a_lost_answer_makes_the_retry_fail_although_the_upload_succeeded(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    storage.add(Fault("insert", times=1, lose_answer=True))
    with pytest.raises(PreconditionFailed):
        upload(bucket, "a", if_generation_match=0, retry=AGAIN)
    assert storage.objects() == {"a": b"data"}
    assert [(r.status, r.wrote) for r in storage.requests] == [("reset", True), (412, False)]


def test_a_stalled_answer_outlasts_the_clients_patience(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    storage.add(Fault("insert", stall=30))
    with pytest.raises(requests.Timeout):
        upload(bucket, "a", timeout=0.1)
    assert storage.objects() == {"a": b"data"}
    assert storage.requests[0].status == "stalled"


def test_a_corrupt_download_has_the_right_length_and_the_wrong_checksum(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    storage.put("a", b"data")
    storage.add(Fault(corrupt=True))
    blob = bucket.blob("a")
    with pytest.raises(DataCorruption):
        blob.download_as_bytes()
    assert len(blob.download_as_bytes(checksum=None)) == 4


def test_a_cut_download_fails(storage: FaultyStorage, bucket: google_storage.Bucket) -> None:
    storage.put("a", b"data")
    storage.add(Fault("download", cut=True))
    with pytest.raises((requests.RequestException, RetryError)):
        bucket.blob("a").download_as_bytes(retry=BRIEFLY)


def test_a_download_cut_once_is_completed(
    storage: FaultyStorage, bucket: google_storage.Bucket, large_file: Path, tmp_path: Path
) -> None:
    storage.put("a", large_file.read_bytes())
    storage.add(Fault("download", times=1, cut=True))
    bucket.blob("a").download_to_filename(str(tmp_path / "out"), retry=AGAIN)
    assert (tmp_path / "out").read_bytes() == large_file.read_bytes()
    assert [r.status for r in storage.requests] == [200, 206]


def test_a_delay_comes_before_the_work(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    storage.add(Fault("insert", delay=0.3))
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(upload, bucket, "a")
        storage.wait_for(lambda r: r.kind == "insert", 5)
        assert storage.objects() == {}
        done.result()
    assert storage.objects() == {"a": b"data"}


def test_latency_is_for_every_request(open_bucket: Callable[..., Any]) -> None:
    with FaultyStorage(latency=0.1) as storage:
        bucket = open_bucket(storage)
        start = time.monotonic()
        upload(bucket, "a").reload()
        assert time.monotonic() - start >= 0.2
