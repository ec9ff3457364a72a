"""Parses the location of a job dir: a local folder, or `gs://bucket/prefix`."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from trainer.contract.errors import BadCommand

LONGEST_NAME = 1024  # bytes of an object's name
_ROOM = 100  # of these bytes, reserved for the paths of a run's files

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # one letter alone is a drive
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


class BadAddress(BadCommand):
    """The text is neither a folder nor an address in a bucket."""


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


def locate(text: str) -> Address | Path:
    """The location of a job dir. Raises BadAddress."""
    return parse(text) if _SCHEME.match(text) else Path(text).expanduser()


def parse(text: str) -> Address:
    """The address of a folder in a bucket. Raises BadAddress with what is wrong."""
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
        raise BadAddress(f"A gs:// address must {must}, but got {_shown(text)}.")
    return Address(bucket, prefix)


def _is_bucket(name: str) -> bool:
    if not _BUCKET.fullmatch(name) or any(not 0 < len(x) < 64 for x in name.split(".")):
        return False
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return False
    return not name.startswith("goog") and "google" not in name


def _shown(text: str) -> str:
    return repr(text if len(text) <= 200 else f"{text[:200]}...")
