"""The storage that the cloud tests stand on, as the real client sees it."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.storage_server import Fault, FaultyStorage

with warnings.catch_warnings():  # for it misses a package that only gRPC needs
    warnings.simplefilter("ignore", ImportWarning)
    from google.api_core.exceptions import (
        BadRequest,
        Forbidden,
        GoogleAPICallError,
        MethodNotImplemented,
        NotFound,
        PreconditionFailed,
        RetryError,
        ServiceUnavailable,
        TooManyRequests,
    )
    from google.cloud import storage as google_storage
    from google.cloud.storage.exceptions import DataCorruption
    from google.cloud.storage.retry import DEFAULT_RETRY

MIB = 1 << 20
AGAIN = DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.05).with_timeout(5)
BRIEFLY = DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.05).with_timeout(0.3)


@pytest.fixture
def storage() -> Iterator[FaultyStorage]:
    with FaultyStorage() as storage:
        yield storage


@pytest.fixture
def open_bucket(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[FaultyStorage], google_storage.Bucket]]:
    clients = []

    def open_bucket(storage: FaultyStorage) -> google_storage.Bucket:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        # Or a thread of the client asks for the bucket, whenever it gets round to it.
        monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        clients.append(google_storage.Client())
        return clients[-1].bucket(storage.bucket)

    yield open_bucket
    for client in clients:
        client.close()


@pytest.fixture
def bucket(storage: FaultyStorage, open_bucket: Callable[..., Any]) -> google_storage.Bucket:
    return open_bucket(storage)


def upload(bucket: google_storage.Bucket, name: str, data: bytes = b"data", **options: Any) -> Any:
    blob = bucket.blob(name)
    blob.upload_from_string(data, **{"retry": None, "timeout": 5} | options)
    return blob


def upload_in_parts(bucket: google_storage.Bucket, name: str, path: Path, **options: Any) -> None:
    blob = bucket.blob(name, chunk_size=4 * MIB)
    blob.upload_from_filename(str(path), **{"retry": AGAIN, "timeout": 5} | options)


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    """Of three parts, for the client sends up to 8 MiB at once."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(10 * MIB))
    return path


# As the real one


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


# Generations and preconditions


def test_each_write_has_a_larger_generation(bucket: google_storage.Bucket) -> None:
    generations = []
    for name in ("a", "b", "a"):
        generations.append(upload(bucket, name).generation)
    assert generations == sorted(set(generations))


def test_a_download_tells_its_generation(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    storage.put("a", b"")
    blob = bucket.blob("a")
    blob.download_as_bytes()
    assert blob.generation == storage.generation("a")


def test_an_old_generation_is_not_found(bucket: google_storage.Bucket) -> None:
    old = upload(bucket, "a")
    upload(bucket, "a")
    with pytest.raises(NotFound):
        old.download_as_bytes()


def test_generation_0_means_that_there_must_be_no_object(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    upload(bucket, "a", b"first", if_generation_match=0)
    with pytest.raises(PreconditionFailed, match="conditionNotMet"):
        upload(bucket, "a", b"second", if_generation_match=0)
    storage.delete("a")
    upload(bucket, "a", b"third", if_generation_match=0)
    assert storage.objects() == {"a": b"third"}


def test_an_insert_replaces_only_the_generation_it_names(bucket: google_storage.Bucket) -> None:
    first = upload(bucket, "a").generation
    upload(bucket, "a", if_generation_match=first)
    with pytest.raises(PreconditionFailed):
        upload(bucket, "a", if_generation_match=first)


def test_a_read_takes_a_precondition(bucket: google_storage.Bucket) -> None:
    upload(bucket, "a")
    blob = bucket.blob("a")
    for ask in (blob.reload, blob.download_as_bytes):
        with pytest.raises(PreconditionFailed):
            ask(if_generation_match=1)


def test_a_delete_takes_a_precondition(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    blob = upload(bucket, "a")
    with pytest.raises(PreconditionFailed):
        bucket.blob("a").delete(if_generation_match=1)
    bucket.blob("a").delete(if_generation_match=blob.generation)
    assert storage.objects() == {}


def test_a_race_of_eight_inserts_has_one_winner(
    storage: FaultyStorage, bucket: google_storage.Bucket
) -> None:
    together = threading.Barrier(8)

    def race(number: int) -> bytes | None:
        together.wait(5)
        try:
            upload(bucket, "a", b"%d" % number, if_generation_match=0)
        except PreconditionFailed:
            return None
        return b"%d" % number

    with ThreadPoolExecutor(8) as pool:
        winners = [result for result in pool.map(race, range(8)) if result]
    assert [storage.objects()["a"]] == winners


# Uploads in parts


def test_an_upload_in_parts_arrives_whole(
    storage: FaultyStorage, bucket: google_storage.Bucket, large_file: Path
) -> None:
    upload_in_parts(bucket, "a", large_file, if_generation_match=0)
    assert [r.status for r in storage.requests] == [200, 308, 308, 200]
    assert storage.objects()["a"] == large_file.read_bytes()


@pytest.mark.parametrize("fault", [{"status": 503}, {"reset": True}, {"lose_answer": True}])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_an_upload_in_parts_survives_the_failure_of_one(
    storage: FaultyStorage,
    bucket: google_storage.Bucket,
    large_file: Path,
    fault: dict[str, Any],
    part: int,
) -> None:
    storage.add(Fault("resumable", skip=part, times=1, **fault))
    upload_in_parts(bucket, "a", large_file)
    assert storage.objects()["a"] == large_file.read_bytes()
    assert len(storage.writes("a")) == 1


def test_an_upload_in_parts_is_checked_again_at_its_end(
    storage: FaultyStorage, bucket: google_storage.Bucket, large_file: Path
) -> None:
    storage.add(Fault("resumable", skip=1, times=1, delay=0.3))
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(upload_in_parts, bucket, "a", large_file, if_generation_match=0)
        storage.wait_for(lambda r: r.kind == "resumable", 5)
        storage.put("a", b"first")
        with pytest.raises(PreconditionFailed):
            late.result()
    assert storage.objects() == {"a": b"first"}


def test_an_upload_in_parts_goes_on_after_a_restart(
    tmp_path: Path, large_file: Path, open_bucket: Callable[..., Any]
) -> None:
    with FaultyStorage(folder=tmp_path / "disk") as storage:
        storage.put("before", b"restart")
        generation = storage.generation("before")
        storage.add(Fault("resumable", skip=1, times=1, stall=30))
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(upload_in_parts, open_bucket(storage), "a", large_file)
            storage.wait_for(lambda r: r.status == "stalled", 5)
            storage.restart()
            done.result()
        assert storage.objects() == {"a": large_file.read_bytes(), "before": b"restart"}
        assert storage.generation("before") == generation


def test_a_restart_loses_what_is_in_memory(storage: FaultyStorage) -> None:
    storage.put("a", b"")
    storage.restart()
    assert storage.objects() == {}
    assert storage.generation("a") == 0


# Faults


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
