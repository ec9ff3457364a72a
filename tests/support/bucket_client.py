"""Google's client for the test storage: uploads, and how long it tries again."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

with warnings.catch_warnings():  # for it misses a package that only gRPC needs
    warnings.simplefilter("ignore", ImportWarning)
    from google.cloud import storage as google_storage
    from google.cloud.storage.retry import DEFAULT_RETRY


MIB = 1 << 20
AGAIN = DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.05).with_timeout(5)
BRIEFLY = DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.05).with_timeout(0.3)


def upload(bucket: google_storage.Bucket, name: str, data: bytes = b"data", **options: Any) -> Any:
    blob = bucket.blob(name)
    blob.upload_from_string(data, **{"retry": None, "timeout": 5} | options)
    return blob


def upload_in_parts(bucket: google_storage.Bucket, name: str, path: Path, **options: Any) -> None:
    blob = bucket.blob(name, chunk_size=4 * MIB)
    blob.upload_from_filename(str(path), **{"retry": AGAIN, "timeout": 5} | options)
