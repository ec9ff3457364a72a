"""A folder in Google Cloud Storage: objects are replaced only by their owner.

More than 250 lines, since every request of a folder needs the same record of what it last saw.
"""

from __future__ import annotations

import base64
import contextlib
import io
import mimetypes
import os
import re
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from trainer.contract.errors import BadCommand, Error
from trainer.storage.address import Address

TIMEOUT = (5.0, 20.0)  # seconds to connect, and between two bytes of an answer
READING = 20.0  # seconds to keep trying a listing or a download
DOWNLOADS = 3  # attempts, because a download may arrive damaged
RESUMABLE = 8 * 2**20  # bytes above which the client uploads in pieces

_RIGHT = re.compile(r"storage\.\w+\.\w+")


class StorageError(Error):
    """A request to a bucket that failed."""


class Unreachable(StorageError):
    """The service did not answer, or failed; it may work later."""


class Refused(StorageError):
    """The service refused; trying again does not help."""


class Conflict(StorageError):
    """Another process has written or deleted the object."""


class NoClient(BadCommand):
    """The client library is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "google-cloud-storage is not installed, but a job dir in a bucket needs it. Run:"
            " pip install '.[tuner]'"
        )


class Sum(NamedTuple):
    """Size and checksum of an object's content."""

    size: int
    crc32c: str  # as the service writes it: base64


class Stored(NamedTuple):
    """An object in the bucket."""

    generation: int
    sum: Sum


class RemoteFolder:
    """Objects under one address; only the versions last seen are replaced or deleted.

    A request whose answer was lost may have been carried out, so its effects count as ours. Needs
    the rights to create, get, list and delete objects, and none on the bucket. May be used from
    several threads.
    """

    def __init__(
        self,
        address: Address,
        client: Any = None,
        *,
        reading: float | None = None,
        below: bool = True,
    ) -> None:
        """
        Args:
            reading: seconds to keep trying a listing, a download or a deletion.
            below: whether `list` goes into the folders inside this one.
        """
        self.address = address
        self.objects: dict[str, Stored] = {}  # by path under the address, as last seen
        # What unanswered requests may have written; None is a deletion.
        self._unanswered: dict[str, set[Sum | None]] = {}
        self._client = client
        self._reading, self._below = reading, below

    def list(self) -> None:
        """Lists the objects."""
        with self._translated("list"):
            blobs = list(
                self._connect().list_blobs(
                    self.address.bucket,
                    prefix=self.address.name(""),
                    delimiter=None if self._below else "/",
                    timeout=TIMEOUT,
                    retry=self._retry(),
                )
            )
        skip = len(self.address.name(""))
        self.objects = {blob.name[skip:]: _stored(blob) for blob in blobs}

    def read(self, path: str) -> bytes:
        """The content of an object as it was last seen, verified.

        Raises:
            Conflict: it was replaced or deleted meanwhile.
        """
        content = self._download(path, self.objects[path])
        if content is None:
            raise Conflict(f"{self.address}/{path} was deleted meanwhile.")
        return content

    def read_latest(self, path: str) -> bytes | None:
        """The current content of an object, seen before or not; None if it does not exist."""
        return self._download(path, None)

    def _download(self, path: str, seen: Stored | None) -> bytes | None:
        for _ in range(DOWNLOADS):
            with self._translated("get"), contextlib.suppress(_damaged()):
                try:
                    content: bytes = self._blob(path).download_as_bytes(
                        if_generation_match=seen.generation if seen else None,
                        timeout=TIMEOUT,
                        retry=self._retry(),
                    )
                except _api().NotFound:
                    return None
                if not seen or Sum(len(content), checksum(io.BytesIO(content))) == seen.sum:
                    return content
        raise Unreachable(f"{self.address}/{path} arrived damaged.")

    def write(
        self, path: str, content: BinaryIO, size: int, *, patience: float | None = None
    ) -> None:
        """Writes the first `size` bytes of a file as an object, unless another process has.

        Args:
            patience: seconds that it is tried for; by default once, and a large file for a minute.

        Raises:
            Conflict: another process has written it.
        """
        sum_, seen = Sum(size, checksum(content, size)), self.objects.get(path)
        ours = self._unanswered.setdefault(path, set())
        if seen is not None and seen.sum == sum_ and not ours:
            return
        ours.add(sum_)
        with self._translated("create"):
            written, generation = None, seen.generation if seen else 0
            while written is None:
                try:
                    written = self._upload(path, content, sum_, generation, patience)
                except _api().PreconditionFailed:
                    found = self._look(path)
                    now = found.generation if found else 0
                    if now == generation or (found.sum if found else None) not in ours:
                        raise
                    written = found if found and found.sum == sum_ else None
                    generation = now
        if written.sum != sum_:
            raise Unreachable(f"{self.address}/{path} arrived damaged.")
        self.objects[path] = written
        ours.clear()

    def write_bytes(self, path: str, content: bytes, *, patience: float | None = None) -> None:
        self.write(path, io.BytesIO(content), len(content), patience=patience)

    def _upload(
        self, path: str, content: BinaryIO, sum_: Sum, generation: int, patience: float | None
    ) -> Stored:
        content.seek(0)
        blob = self._blob(path)
        # What goes in one request is by default tried again by the caller: the service takes one
        # write a second of an object, and the client would wait for less.
        tried = patience or (60 if sum_.size > RESUMABLE else None)
        blob.upload_from_file(
            content,
            size=sum_.size,
            content_type=mimetypes.guess_type(path)[0],
            if_generation_match=generation,
            checksum="crc32c",
            timeout=TIMEOUT,
            retry=_retry(tried) if tried else None,
        )
        return _stored(blob)

    def delete(self, path: str) -> None:
        """Deletes an object, if it is the one last seen, or one that we wrote.

        Raises:
            Conflict: another process has replaced it.
        """
        ours = self._unanswered.setdefault(path, set())
        ours.add(None)
        with self._translated("delete"):
            found = self.objects.get(path) or self._look(path)
            if path not in self.objects and found and found.sum not in ours:
                raise Conflict(f"Another process writes to {self.address}.")
            while found is not None:
                try:
                    self._blob(path).delete(
                        if_generation_match=found.generation,
                        timeout=TIMEOUT,
                        retry=self._retry(),
                    )
                except _api().NotFound:
                    break
                except _api().PreconditionFailed:
                    before, found = found, self._look(path)
                    if found and (found == before or found.sum not in ours):
                        raise
                else:
                    break
        self.objects.pop(path, None)
        ours.clear()

    def check_rights(self) -> None:
        """Reads and deletes an object that does not exist, to find missing rights at once.

        The right to create objects is not tested: without the right to delete, that would leave
        an object behind.
        """
        blob = self._blob(f"rights-{uuid.uuid4().hex}")
        for verb, request in (("get", blob.download_as_bytes), ("delete", blob.delete)):
            with self._translated(verb), contextlib.suppress(_api().NotFound):
                request(timeout=TIMEOUT, retry=self._retry())

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _retry(self) -> Any:
        return _retry(self._reading or READING)

    def _look(self, path: str) -> Stored | None:
        blob = self._blob(path)
        try:
            blob.reload(timeout=TIMEOUT, retry=self._retry())
        except _api().NotFound:
            return None
        return _stored(blob)

    def _connect(self) -> Any:
        if self._client is None:
            try:
                from google.cloud import storage
            except ImportError as error:
                raise NoClient() from error
            # Otherwise the client reads the bucket's data for traces, which needs one more right.
            os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
            # Objects belong to a bucket, not to a project, and credentials may have none.
            self._client = storage.Client(project=None)
        return self._client

    def _blob(self, path: str) -> Any:
        with self._translated("get"):
            return self._connect().bucket(self.address.bucket).blob(self.address.name(path))

    @contextlib.contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        """Raises the client's errors as a StorageError with a sentence."""
        try:
            import requests
            from google.api_core import exceptions as api
            from google.auth import exceptions as auth
        except ImportError as error:
            raise NoClient() from error
        bucket = self.address.bucket
        try:
            yield
        except Error:
            raise
        except (api.Unauthorized, auth.RefreshError, auth.DefaultCredentialsError) as error:
            raise Refused(
                f"Google Cloud Storage does not accept the credentials here for {self.address}"
                f" ({_gist(error)}). Run `gcloud auth application-default login`; a service has"
                " those of its service account."
            ) from error
        except api.Forbidden as error:
            right = _RIGHT.search(str(error))
            raise Refused(
                f"Bucket {bucket} refuses {right[0] if right else f'storage.objects.{verb}'} under"
                f" {self.address}. Grant the role Storage Object User, which has all rights that"
                " are needed."
            ) from error
        except api.NotFound as error:
            raise Refused(f"Bucket {bucket} does not exist, or was deleted.") from error
        except api.PreconditionFailed as error:
            raise Conflict(f"Another process writes to {self.address}.") from error
        except api.ClientError as error:
            kind = Unreachable if error.code in (408, 429) else Refused
            raise kind(f"Bucket {bucket} answers: {_gist(error)}.") from error
        except (
            *(api.GoogleAPIError, auth.GoogleAuthError, requests.RequestException),
            *(ConnectionError, TimeoutError, _damaged()),
        ) as error:
            raise Unreachable(f"Bucket {bucket} cannot be reached ({_gist(error)}).") from error


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
    """Some servers leave out the size of an empty object."""
    return Stored(int(blob.generation), Sum(int(blob.size or 0), str(blob.crc32c)))


def _retry(seconds: float) -> Any:
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_delay(initial=0.5, maximum=8.0).with_timeout(seconds)


def _api() -> Any:
    from google.api_core import exceptions

    return exceptions


def _damaged() -> type[Exception]:
    from google.cloud.storage.exceptions import DataCorruption

    return DataCorruption


def _gist(error: BaseException) -> str:
    """The first line of a client's error, or of the cause if a retry gave up."""
    cause = getattr(error, "cause", None) or error
    if (status := getattr(getattr(cause, "response", None), "status_code", None)) is not None:
        return f"status {status}"
    lines = str(cause).splitlines() or [type(cause).__name__]
    return lines[0][:200].rstrip(".")
