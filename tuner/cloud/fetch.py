"""Brings a finished trial's files from Google Cloud Storage, whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trainer.contract.errors import Error

MANIFEST = "manifest.json"


class FetchError(Error):
    """Files that cannot be had; the message is a sentence for the user."""


class Found(NamedTuple):
    """A finished trial."""

    job_dir: str  # gs://bucket/path
    score: float


def best(address: str, client: Any = None) -> Found:
    """The finished trial with the highest mean score, in a job dir or in those right below it.

    Raises:
        ValueError: `address` is none.
        FetchError: there is no such trial, or it cannot be looked for.
    """
    bucket, prefix = parts(address)
    pattern = re.compile(rf"{re.escape(prefix)}/([^/]+/)?{MANIFEST}")
    found = []
    with told(address):
        client = client or make_client()
        for blob in client.list_blobs(bucket, prefix=f"{prefix}/"):
            if pattern.fullmatch(blob.name):
                score = _score(_object(blob.download_as_bytes(), blob.name))
                if score is not None:
                    folder = blob.name.removesuffix(f"/{MANIFEST}")
                    found.append(Found(f"gs://{bucket}/{folder}", score))
    if not found:
        raise FetchError(
            f"{address} must hold a finished trial, but no {MANIFEST} there tells of one."
        )
    return max(found, key=lambda trial: trial.score)


def fetch(job_dir: str, folder: Path, client: Any = None) -> list[str]:
    """Brings all files of a finished run into a new folder, and returns their paths in it.

    Raises:
        FetchError: the run is not finished, a file is not as its manifest says, or the folder is
            not empty.
    """
    bucket, prefix = parts(job_dir)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FetchError(f"`output` must be a new folder, but {folder} is there; name another.")
    with told(job_dir):
        client = client or make_client()
        source = client.bucket(bucket)
        text = source.blob(f"{prefix}/{MANIFEST}").download_as_bytes()
        files = _listed(_object(text, f"{job_dir}/{MANIFEST}"))
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            for path, sha256 in files.items():
                content = source.blob(f"{prefix}/{path}").download_as_bytes()
                if hashlib.sha256(content).hexdigest() != sha256:
                    raise FetchError(f"{job_dir}/{path} must be as {MANIFEST} says, but is not.")
                target = temporary / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            (temporary / MANIFEST).write_bytes(text)
            temporary.chmod(0o755)
            temporary.replace(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return [*files, MANIFEST]


def parts(address: str) -> tuple[str, str]:
    """Bucket and path. Raises ValueError where it has none."""
    match = re.fullmatch(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])/([^/].*?)/*", address)
    if not match:
        raise ValueError(f"A job dir must be gs://BUCKET/PATH, but got {address!r}.")
    return match[1], match[2]


def _object(content: bytes, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise FetchError(f"{name} must hold a JSON object, but does not.")
    return found


def _score(manifest: Mapping[str, Any]) -> float | None:
    scores = manifest.get("scores")
    score = scores.get("mean_score") if isinstance(scores, dict) else None
    return float(score) if isinstance(score, int | float) else None


def _listed(manifest: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 sums by path; no path may leave the folder that it is written to."""
    try:
        files = {str(file["name"]): str(file["sha256"]) for file in manifest["files"]}
    except (KeyError, TypeError) as error:
        raise FetchError(f"{MANIFEST} must list files with name and sha256.") from error
    for path in files:
        parts = path.split("/")
        if {"", ".", ".."} & set(parts) or set(path) & set("\\:\0"):
            raise FetchError(f"{MANIFEST} must list files inside the job dir, but lists {path!r}.")
    return files


def make_client() -> Any:
    """A client with the machine's default credentials."""
    from google.cloud import storage

    return storage.Client(project=None)


@contextlib.contextmanager
def told(address: str) -> Iterator[None]:
    """Says in a sentence what the service, or the disk, refuses."""
    import requests
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, requests.RequestException, DataCorruption) as error:
        cause = getattr(error, "cause", None) or error
        gist = (str(cause).splitlines() or [type(cause).__name__])[0][:200].rstrip(".")
        raise FetchError(f"{address} must be readable, but is not: {gist}.") from error
    except OSError as error:
        raise FetchError(
            f"{error.filename} must be writable, but is not ({error.strerror})."
        ) from error
