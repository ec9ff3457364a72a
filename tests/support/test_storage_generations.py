"""Generations, preconditions and uploads in parts, as the real storage has them."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.bucket_client import upload, upload_in_parts
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage

with warnings.catch_warnings():  # for it misses a package that only gRPC needs
    warnings.simplefilter("ignore", ImportWarning)
    from google.api_core.exceptions import NotFound, PreconditionFailed
    from google.cloud import storage as google_storage


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
