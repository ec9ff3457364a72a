"""A study's folder in Google Cloud Storage: objects that are whole, and never another tuner's."""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

from trainer.contract.errors import Error

TIMEOUT = (5.0, 20.0)  # seconds to connect, and between two bytes of an answer
PATIENCE = 60.0  # seconds that a request is tried for
_DOWNLOADS = 3  # times that an object may come down damaged
_ADDRESS = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])/([^\x00-\x1f\x7f]+?)/*")
_RIGHT = re.compile(r"storage\.\w+\.\w+")


class BucketError(Error):
    """A bucket that refuses, or does not answer; the message is a sentence for the user."""


class Unreachable(BucketError):
    """It did not answer, or not well; it may later."""


class Conflict(BucketError):
    """Somebody else wrote the object meanwhile."""


def parse(address: str) -> tuple[str, str]:
    """Bucket and path of `gs://bucket/path`. Raises ValueError."""
    found = _ADDRESS.fullmatch(address)
    if not found or {"", ".", ".."} & set(found[2].split("/")):
        raise ValueError(
            f"the job dir of a study must be a folder or gs://BUCKET/PATH, but is {address}."
        )
    return found[1], found[2]


def connect() -> Any:
    """A client of the service. Raises ValueError where its library is missing."""
    try:
        from google.cloud import storage
    except ImportError:
        raise ValueError(
            "a job dir in a bucket must have google-cloud-storage. Install it: pip install"
            " '.[tuner]'"
        ) from None
    # Else the client asks for the bucket itself, for traces, which takes a right more.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    with _told("here", "gs://"):
        return storage.Client(project=None)


class Folder:
    """Objects below an address; none is replaced unless it is the one last seen."""

    def __init__(self, address: str, client: Any) -> None:
        self._name, self._prefix = parse(address)
        self.address = f"gs://{self._name}/{self._prefix}"
        self.generations: dict[str, int] = {}  # of the objects right below, as last seen
        self._client = client
        self._tried: dict[str, set[str]] = {}  # sums of contents whose arrival is not confirmed

    def list(self) -> None:
        """Looks anew at what lies right below."""
        prefix = f"{self._prefix}/"
        with self._told():
            blobs = self._client.list_blobs(
                self._name, prefix=prefix, delimiter="/", timeout=TIMEOUT, retry=_retry()
            )
            self.generations = {b.name.removeprefix(prefix): int(b.generation) for b in blobs}

    def read(self, path: str) -> bytes | None:
        """The content of an object, verified; None where there is none."""
        for _ in range(_DOWNLOADS):
            with self._told():
                try:
                    content: bytes = self._blob(path).download_as_bytes(
                        timeout=TIMEOUT, retry=_retry()
                    )
                except _damaged():
                    continue
                except _api().NotFound:
                    return None
            return content
        raise Unreachable(f"{self.address}/{path} came down damaged.")

    def write(self, path: str, content: bytes, patience: float = PATIENCE) -> None:
        """Writes an object right below.

        Raises:
            Conflict: somebody else has.
        """
        ours, blob = _checksum(content), self._blob(path)
        tried = self._tried.setdefault(path, set())
        tried.add(ours)
        try:
            self._upload(blob, content, self.generations.get(path, 0), patience)
        except Conflict:
            # Ours, if what had been lost of an earlier try was only the answer.
            with self._told(), contextlib.suppress(_api().NotFound):
                blob.reload(timeout=TIMEOUT, retry=_retry())
            if blob.crc32c not in tried:
                raise
            if blob.crc32c != ours:
                self._upload(blob, content, int(blob.generation), patience)
        self.generations[path] = int(blob.generation)
        tried.clear()

    def delete(self, path: str) -> None:
        """Deletes an object that was seen, if it is still the one."""
        seen = self.generations.pop(path)
        with self._told(), contextlib.suppress(_api().NotFound):
            self._blob(path).delete(if_generation_match=seen, timeout=TIMEOUT, retry=_retry())

    def _upload(self, blob: Any, content: bytes, generation: int, patience: float) -> None:
        with self._told():
            blob.upload_from_string(
                content,
                content_type="application/octet-stream",
                if_generation_match=generation,
                checksum="crc32c",
                timeout=TIMEOUT,
                retry=_retry(patience),
            )

    def _blob(self, path: str) -> Any:
        return self._client.bucket(self._name).blob(f"{self._prefix}/{path}")

    def _told(self) -> contextlib.AbstractContextManager[None]:
        return _told(self._name, self.address)


@contextlib.contextmanager
def _told(bucket: str, address: str) -> Iterator[None]:
    """Raises what goes wrong as a BucketError with a sentence."""
    import requests
    from google.auth import exceptions as auth

    api = _api()
    try:
        yield
    except (api.Unauthorized, auth.RefreshError, auth.DefaultCredentialsError) as error:
        raise BucketError(
            f"Google Cloud Storage must know who asks for {address}, but does not accept the"
            f" credentials here ({_short(error)}). `gcloud auth application-default login` makes"
            " some."
        ) from error
    except api.Forbidden as error:
        right = _RIGHT.search(str(error))
        raise BucketError(
            f"Bucket {bucket} must grant {right[0] if right else 'the use of its objects'}, but"
            f" refuses it under {address}. The role Storage Object User has all that a study needs."
        ) from error
    except api.NotFound as error:
        raise BucketError(f"There must be a bucket {bucket}, but there is none.") from error
    except api.PreconditionFailed as error:
        raise Conflict(f"Another tuner must not write to {address}, but one does.") from error
    except api.ClientError as error:
        kind = Unreachable if error.code in (408, 429) else BucketError
        raise kind(f"Bucket {bucket} answers: {_short(error)}.") from error
    except (
        *(api.GoogleAPIError, auth.GoogleAuthError, requests.RequestException),
        *(ConnectionError, TimeoutError, _damaged()),
    ) as error:
        raise Unreachable(f"Bucket {bucket} cannot be reached ({_short(error)}).") from error


def _checksum(content: bytes) -> str:
    """CRC32C, base64 as the service writes it."""
    import google_crc32c

    crc: Any = google_crc32c.Checksum(content)  # type: ignore[no-untyped-call]
    return base64.b64encode(crc.digest()).decode()


def _retry(seconds: float | None = None) -> Any:
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_delay(initial=0.5, maximum=8.0).with_timeout(seconds or PATIENCE)


def _api() -> Any:
    from google.api_core import exceptions

    return exceptions


def _damaged() -> type[Exception]:
    from google.cloud.storage.exceptions import DataCorruption

    return DataCorruption


def _short(error: BaseException) -> str:
    """The gist of an error of the client: the cause of a retry that gave up, one line of it."""
    cause = getattr(error, "cause", None) or error
    if (status := getattr(getattr(cause, "response", None), "status_code", None)) is not None:
        return f"status {status}"
    lines = str(cause).splitlines() or [type(cause).__name__]
    return lines[0][:200].rstrip(".")
