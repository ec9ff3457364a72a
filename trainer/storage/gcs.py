"""A folder in Google Cloud Storage: its address, and objects that are whole and whose they are."""

from __future__ import annotations

import base64
import contextlib
import io
import ipaddress
import mimetypes
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

TIMEOUT = (5.0, 20.0)  # seconds to connect, and between two bytes of an answer
READING = 20.0  # seconds that a listing or a download is tried for
DOWNLOADS = 3  # times that a download may come down damaged
RESUMABLE = 8 * 2**20  # bytes above which the client uploads in pieces
LONGEST_NAME = 1024  # bytes
_ROOM = 100  # of these bytes, for what a run adds to its prefix

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_RIGHT = re.compile(r"storage\.\w+\.\w+")


class StorageError(Exception):
    """A request that failed; the message is a sentence for the user."""


class Unreachable(StorageError):
    """The service did not answer, or not well; it may later."""


class Refused(StorageError):
    """The service answered no; asking again does not help."""


class Conflict(StorageError):
    """Somebody else wrote, or deleted, the object meanwhile."""


@dataclass(frozen=True)
class Address:
    """`gs://bucket/prefix`."""

    bucket: str
    prefix: str  # without slashes around it

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.prefix}"

    def name(self, path: str) -> str:
        """The full name of the object at `path` under the prefix."""
        return f"{self.prefix}/{path}"


def parse(text: str) -> Address:
    """The address of a job dir. Raises ValueError with what must hold."""
    bucket, _, path = text.removeprefix("gs://").partition("/")
    prefix = path.rstrip("/")
    parts = prefix.split("/")
    must = None
    if not text.startswith("gs://"):
        must = "start with gs://"
    elif not _is_bucket(bucket):
        must = (
            "name a bucket: 3 to 63 of a-z, 0-9, '-', '_' and '.', a letter or digit at both ends"
        )
    elif not prefix:
        must = f"name a folder in the bucket, as in gs://{bucket}/my-run"
    elif "" in parts or "." in parts or ".." in parts:
        must = "have no empty part, '.' or '..' between slashes"
    elif any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029" for c in prefix):
        must = "have no control characters"
    elif any(0xD800 <= ord(c) < 0xE000 for c in prefix):
        must = "be UTF-8"
    elif len(prefix.encode()) > LONGEST_NAME - _ROOM:
        must = f"be at most {LONGEST_NAME - _ROOM} bytes long"
    elif prefix.startswith(".well-known/acme-challenge"):
        must = "not start with .well-known/acme-challenge"
    if must:
        raise ValueError(f"A gs:// address must {must}, but got {text!r}.")
    return Address(bucket, prefix)


def _is_bucket(name: str) -> bool:
    if not _BUCKET.fullmatch(name) or any(not 0 < len(x) < 64 for x in name.split(".")):
        return False
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return False
    return not name.startswith("goog") and "google" not in name


class Sum(NamedTuple):
    """What tells a content from another."""

    size: int
    crc32c: str  # as the service writes it: base64


class Stored(NamedTuple):
    """An object as it lies in the bucket."""

    generation: int
    sum: Sum


class RemoteFolder:
    """Objects under one address, none of which is replaced unless it is the one last seen.

    Needs the rights to create, get, list and delete objects, and none on the bucket. May be used
    from several threads.
    """

    def __init__(self, address: Address, client: Any = None) -> None:
        self.address = address
        self.objects: dict[str, Stored] = {}  # by path under the address, as last seen
        self._tried: dict[str, set[Sum]] = {}  # contents whose arrival was not confirmed
        self._client = client

    def list(self) -> None:
        """Looks anew at what is there."""
        with self._told("list"):
            blobs = list(
                self._connect().list_blobs(
                    self.address.bucket,
                    prefix=self.address.name(""),
                    timeout=TIMEOUT,
                    retry=_retry(READING),
                )
            )
        skip = len(self.address.name(""))
        self.objects = {blob.name[skip:]: _stored(blob) for blob in blobs}

    def read(self, path: str) -> bytes:
        """The content of an object that `list` saw, verified; tried again where it is damaged."""
        seen = self.objects[path]
        for _ in range(DOWNLOADS):
            with self._told("get"), contextlib.suppress(_damaged()):
                content: bytes = self._blob(path).download_as_bytes(
                    if_generation_match=seen.generation, timeout=TIMEOUT, retry=_retry(READING)
                )
                if Sum(len(content), checksum(io.BytesIO(content))) == seen.sum:
                    return content
        raise Unreachable(f"{self.address}/{path} came down damaged.")

    def write(self, path: str, content: BinaryIO, size: int) -> None:
        """Writes the first `size` bytes of a file as an object, if nobody else has meanwhile.

        Raises:
            Conflict: somebody has.
        """
        sum_, seen = Sum(size, checksum(content, size)), self.objects.get(path)
        tried = self._tried.setdefault(path, set())
        if seen is not None and seen.sum == sum_ and not tried:
            return
        tried.add(sum_)
        with self._told("create"):
            try:
                written = self._upload(path, content, sum_, seen.generation if seen else 0)
            except _api().PreconditionFailed:
                # Ours, if what had been lost of an earlier try was only the answer.
                blob = self._blob(path)
                blob.reload(timeout=TIMEOUT, retry=_retry(READING))
                written = _stored(blob)
                if written.sum not in tried:
                    raise
                if written.sum != sum_:
                    written = self._upload(path, content, sum_, written.generation)
        if written.sum != sum_:
            raise Unreachable(f"{self.address}/{path} was damaged on its way.")
        self.objects[path] = written
        tried.clear()

    def _upload(self, path: str, content: BinaryIO, sum_: Sum, generation: int) -> Stored:
        content.seek(0)
        blob = self._blob(path)
        blob.upload_from_file(
            content,
            size=sum_.size,
            content_type=mimetypes.guess_type(path)[0],
            if_generation_match=generation,
            checksum="crc32c",
            timeout=TIMEOUT,
            # What goes in one request is tried again by whoever calls this: the service takes one
            # write a second of an object, and the client would wait for less.
            retry=_retry(60) if sum_.size > RESUMABLE else None,
        )
        return _stored(blob)

    def delete(self, path: str) -> None:
        """Deletes an object that was seen, if it is still the one."""
        with self._told("delete"), contextlib.suppress(_api().NotFound):
            self._blob(path).delete(
                if_generation_match=self.objects[path].generation,
                timeout=TIMEOUT,
                retry=_retry(READING),
            )
        del self.objects[path]

    def check_rights(self) -> None:
        """Creates, gets and deletes an object, so that a right that is missing shows at once."""
        path = f"rights-{uuid.uuid4().hex}"
        self.write(path, io.BytesIO(b"?"), 1)
        self.read(path)
        self.delete(path)

    def _connect(self) -> Any:
        if self._client is None:
            from google.cloud import storage

            # Else the client asks for the bucket itself, for traces, which takes a right more.
            os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
            # Objects belong to a bucket, not to a project, and credentials may have none.
            self._client = storage.Client(project=None)
        return self._client

    def _blob(self, path: str) -> Any:
        with self._told("get"):
            return self._connect().bucket(self.address.bucket).blob(self.address.name(path))

    @contextlib.contextmanager
    def _told(self, verb: str) -> Iterator[None]:
        """Raises what goes wrong as a StorageError with a sentence."""
        import requests
        from google.auth import exceptions as auth

        api, bucket = _api(), self.address.bucket
        try:
            yield
        except (api.Unauthorized, auth.RefreshError, auth.DefaultCredentialsError) as error:
            raise Refused(
                f"Google Cloud Storage must know who asks for bucket {bucket}, but does not accept"
                f" the credentials here ({_short(error)}). `gcloud auth application-default login`"
                " makes some; a service has those of its service account."
            ) from error
        except api.Forbidden as error:
            right = _RIGHT.search(str(error))
            raise Refused(
                f"Bucket {bucket} must grant {right[0] if right else f'storage.objects.{verb}'},"
                f" but refuses it under {self.address}. The role Storage Object User has all that a"
                " run needs."
            ) from error
        except api.NotFound as error:
            raise Refused(
                f"There must be a bucket {bucket}, but there is none, or {self.address} has gone."
            ) from error
        except api.PreconditionFailed as error:
            raise Conflict(
                f"Another run must not write to {self.address}, but one does."
            ) from error
        except api.ClientError as error:
            kind = Unreachable if error.code in (408, 429) else Refused
            raise kind(f"Bucket {bucket} answers: {_short(error)}.") from error
        except (
            *(api.GoogleAPIError, auth.GoogleAuthError, requests.RequestException),
            *(ConnectionError, TimeoutError, _damaged()),
        ) as error:
            raise Unreachable(f"Bucket {bucket} cannot be reached ({_short(error)}).") from error


def checksum(content: BinaryIO, size: int | None = None) -> str:
    """CRC32C of the first `size` bytes, base64 as the service writes it."""
    import google_crc32c

    crc: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]
    left = size
    while chunk := content.read(2**20 if left is None else min(left, 2**20)):
        crc.update(chunk)
        left = None if left is None else left - len(chunk)
    return base64.b64encode(crc.digest()).decode()


def _stored(blob: Any) -> Stored:
    return Stored(int(blob.generation), Sum(int(blob.size), str(blob.crc32c)))


def _retry(seconds: float) -> Any:
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(seconds)


def _api() -> Any:
    from google.api_core import exceptions

    return exceptions


def _damaged() -> type[Exception]:
    from google.cloud.storage.exceptions import DataCorruption

    return DataCorruption


def _short(error: BaseException) -> str:
    """The gist of an error of the client: the cause of a retry that gave up, one line of it."""
    cause = getattr(error, "cause", None) or error
    lines = str(cause).splitlines() or [type(cause).__name__]
    return lines[0][:200].rstrip(".")
