"""The storage that the cloud tests stand on, as the real client sees it."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.bucket_client import AGAIN, MIB, upload, upload_in_parts
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage

with warnings.catch_warnings():  # for it misses a package that only gRPC needs
    warnings.simplefilter("ignore", ImportWarning)
    from google.api_core.exceptions import BadRequest, MethodNotImplemented, NotFound
    from google.cloud import storage as google_storage


@pytest.mark.parametrize("data", [b"", b"\r", b"a\r\n--b\r\n", bytes(range(256)), b"\n\r\n"])
def test_what_goes_in_comes_out(bucket: google_storage.Bucket, data: bytes) -> None:
    upload(bucket, "runs/a b/ü?#.bin", data)
    assert bucket.blob("runs/a b/ü?#.bin").download_as_bytes() == data


def test_a_large_file_goes_in_and_out_fast(
    storage: FaultyStorage, bucket: google_storage.Bucket, tmp_path: Path
) -> None:
    data = os.urandom(16 * MIB)
    (tmp_path / "in").write_bytes(data)
    start = time.monotonic()
    bucket.blob("large").upload_from_filename(str(tmp_path / "in"), if_generation_match=0)
    bucket.blob("large").download_to_filename(str(tmp_path / "out"))
    assert time.monotonic() - start < 2
    assert (tmp_path / "out").read_bytes() == data
    assert [r.kind for r in storage.requests] == ["insert", "resumable", "download"]


def test_metadata_states_size_checksum_and_content_type(bucket: google_storage.Bucket) -> None:
    upload(bucket, "a.json", b"123456789", content_type="application/json", checksum=None)
    blob = bucket.get_blob("a.json")
    assert (blob.size, blob.crc32c) == (9, "4waSgw==")  # 0xe3069283, the check value of CRC-32C
    assert (blob.content_type, blob.metageneration) == ("application/json", 1)


def test_custom_metadata_is_kept(bucket: google_storage.Bucket) -> None:
    blob = bucket.blob("a")
    blob.metadata = {"step": "3"}
    blob.upload_from_string(b"")
    assert bucket.get_blob("a").metadata == {"step": "3"}


def test_a_listing_has_the_prefix_and_goes_over_pages(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    for name in ("a/1", "a/2", "a/3", "b/1"):
        storage.put(name, b"")
    blobs = list(bucket.list_blobs(prefix="a/", page_size=2))
    assert [blob.name for blob in blobs] == ["a/1", "a/2", "a/3"]
    assert [blob.generation for blob in blobs] == [storage.generation(b.name) for b in blobs]
    assert [r.kind for r in storage.requests] == ["list", "list"]


def test_the_bucket_exists_and_no_other(bucket: google_storage.Bucket) -> None:
    assert bucket.exists()
    with pytest.raises(NotFound, match="bucket does not exist"):
        upload(bucket.client.bucket("other"), "a")


def test_a_missing_object_is_not_found(bucket: google_storage.Bucket) -> None:
    blob = bucket.blob("missing")
    assert not blob.exists()
    for ask in (blob.reload, blob.download_as_bytes, blob.delete):
        with pytest.raises(NotFound, match="No such object: bucket/missing"):
            ask()


def test_a_wrong_checksum_is_refused(storage: FaultyStorage, bucket: google_storage.Bucket) -> None:
    blob = bucket.blob("a")
    blob.crc32c = "AAAAAA=="
    with pytest.raises(BadRequest, match="CRC32C"):
        blob.upload_from_string(b"data", checksum=None)
    assert not storage.objects()


def test_a_chunked_and_zipped_body_is_understood(storage: FaultyStorage) -> None:
    url = f"{storage.url}/upload/storage/v1/b/bucket/o?uploadType=media&name=a"
    zipped = gzip.compress(b"data")
    answer = requests.post(
        url, data=iter([zipped[:5], zipped[5:]]), headers={"Content-Encoding": "gzip"}, timeout=5
    )
    assert answer.status_code == 200
    assert storage.objects() == {"a": b"data"}


def test_what_is_not_supported_is_refused(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    blob = upload(bucket, "a")
    for ask in (blob.patch, lambda: blob.reload(if_generation_not_match=blob.generation)):
        with pytest.raises(MethodNotImplemented):
            ask()


def test_what_the_emulator_cannot_do_is_an_error_at_once(
    tmp_path: Path, open_bucket: Callable[..., Any]
) -> None:
    with FaultyStorage(folder=tmp_path) as storage:
        bucket = open_bucket(storage)
        upload(bucket, "a")
        with pytest.raises(MethodNotImplemented):
            upload(bucket, "a/b", retry=AGAIN)


# Down, log, end


def test_while_down_each_connection_ends_at_once(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    upload(bucket, "before")
    storage.down()
    for _ in range(2):  # the open connection, then a new one
        with pytest.raises(requests.ConnectionError):
            upload(bucket, "while", timeout=5)
    storage.up()
    upload(bucket, "after")
    assert list(storage.objects()) == ["after", "before"]


def test_a_client_that_retries_outlives_a_short_outage(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    storage.down()
    threading.Timer(0.2, storage.up).start()
    upload(bucket, "a", if_generation_match=0, retry=AGAIN)
    assert storage.objects() == {"a": b"data"}


def test_down_ends_a_request_before_its_work(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    storage.add(Fault("insert", delay=30))
    with ThreadPoolExecutor(1) as pool:
        failed = pool.submit(upload, bucket, "a", timeout=30)
        request = storage.wait_for(lambda r: r.kind == "insert", 5)
        storage.down()
        with pytest.raises(requests.ConnectionError):
            failed.result()
    storage.wait_for(lambda r: r is request and r.status == "reset", 5)
    assert storage.objects() == {}


def test_a_request_in_flight_can_be_waited_for(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    storage.add(Fault("insert", "a", delay=30))
    with ThreadPoolExecutor(1) as pool:
        failed = pool.submit(upload, bucket, "a", timeout=30)
        request = storage.wait_for(lambda r: r.name == "a", 5)
        assert (request.kind, request.status) == ("insert", None)
        assert request.body_bytes > len(b"data")
        storage.down()
        assert isinstance(failed.exception(), requests.ConnectionError)


def test_a_request_that_never_comes_is_a_timeout(storage: FaultyStorage) -> None:
    with pytest.raises(TimeoutError, match="No such request"):
        storage.wait_for(lambda r: True, 0.05)


def test_each_write_of_an_object_is_counted(
    storage: FaultyStorage, bucket: google_storage.Bucket, large_file: Path
) -> None:
    upload(bucket, "a")
    upload_in_parts(bucket, "a", large_file)
    upload(bucket, "b")
    bucket.blob("a").delete()
    assert len(storage.writes("a")) == 3
    assert storage.writes("a") == sorted(storage.writes("a"))


def test_the_end_is_quick_and_leaves_no_thread(open_bucket: Callable[..., Any]) -> None:
    before = set(threading.enumerate())
    with ThreadPoolExecutor(1) as pool:
        with FaultyStorage() as storage:
            silent = socket.create_connection(("127.0.0.1", int(storage.url.rpartition(":")[2])))
            storage.add(Fault("insert", stall=30))
            failed = pool.submit(upload, open_bucket(storage), "a", timeout=30)
            storage.wait_for(lambda r: r.status == "stalled", 5)
            start = time.monotonic()
        assert time.monotonic() - start < 1
        assert isinstance(failed.exception(), requests.ConnectionError)
        silent.close()
    assert set(threading.enumerate()) <= before


def test_a_folder_keeps_its_objects(tmp_path: Path) -> None:
    with FaultyStorage(folder=tmp_path) as storage:
        storage.put("runs/a", b"data")
        generation = storage.generation("runs/a")
    with FaultyStorage(folder=tmp_path) as storage:
        assert storage.objects() == {"runs/a": b"data"}
        assert storage.generation("runs/a") > generation
