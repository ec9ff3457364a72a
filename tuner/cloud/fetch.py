"""Downloads a finished trial's files from Google Cloud Storage, all of them or none."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from trainer.contract.errors import Error
from trainer.contract.job_files import MANIFEST, json_object, listed
from trainer.contract.run_record import mean_score
from trainer.storage import files
from trainer.storage.address import parse
from trainer.storage.gcs import RemoteFolder


class FetchError(Error):
    """Files that cannot be downloaded."""


class Found(NamedTuple):
    """A finished trial."""

    job_dir: str  # gs://bucket/path
    score: float


def best(address: str) -> Found:
    """The finished trial with the highest mean score, in a job dir or in those directly below it.

    Raises:
        BadAddress, StorageError, or FetchError where there is no such trial.
    """
    remote = RemoteFolder(parse(address))
    remote.list()
    found = []
    for path in remote.objects:
        if re.fullmatch(rf"([^/]+/)?{re.escape(MANIFEST)}", path):
            score = mean_score(_manifest(remote, path))
            if score is not None:
                found.append(Found(f"{remote.address}/{path}".removesuffix(f"/{MANIFEST}"), score))
    if not found:
        raise FetchError(f"{address} has no finished trial: no {MANIFEST} with a score.")
    return max(found, key=lambda trial: trial.score)


def fetch(job_dir: str, folder: Path) -> list[str]:
    """Downloads all files of a finished run into a new folder, and returns their paths in it.

    Raises:
        StorageError, OSError, or FetchError where the run is not finished, a file differs from its
        manifest, or the folder is not empty.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise FetchError(f"{folder} exists already. Name a new folder with --output.")
    remote = RemoteFolder(parse(job_dir))
    remote.list()
    if MANIFEST not in remote.objects:
        raise FetchError(f"{job_dir} has no {MANIFEST}: its run is not finished.")
    try:
        wanted = listed(json_object(_manifest(remote, MANIFEST)) or {})
    except ValueError as error:
        raise FetchError(f"{job_dir}: {error}") from error
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for path, (size, sha256) in wanted.items():
            there = remote.objects.get(path)
            content = remote.read(path) if there and there.sum.size == size else None
            if content is None or hashlib.sha256(content).hexdigest() != sha256:
                raise FetchError(f"{job_dir}/{path} is missing or differs from {MANIFEST}.")
            target = temporary / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        (temporary / MANIFEST).write_bytes(_manifest(remote, MANIFEST))
        temporary.chmod(0o755)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return [*wanted, MANIFEST]


def _manifest(remote: RemoteFolder, path: str) -> bytes:
    if remote.objects[path].sum.size > files.SMALL:
        raise FetchError(f"{remote.address}/{path} is too large for a manifest.")
    return remote.read(path)
