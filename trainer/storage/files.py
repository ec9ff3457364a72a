"""Reads files that others wrote: regular files only, of a bounded size, inside their folder."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MIB = 2**20
SMALL = 8 * MIB  # bytes of a JSON file; parsed, it takes about ten times as much memory
LARGE = 2048 * MIB  # bytes of a model or a checkpoint


def read(
    path: Path, limit: int = SMALL, *, inside: Path | None = None, begins: bytes = b""
) -> bytes:
    """The content of a regular file of at most `limit` bytes. Does not wait for pipes or devices.

    Args:
        inside: a folder that links must not lead out of.
        begins: what the content must begin with.

    Raises:
        OSError: the file is missing, not regular, too large, or outside of `inside`.
    """
    too_large = OSError(errno.EFBIG, f"it is larger than {limit / MIB:g} MiB", str(path))
    try:
        if inside is not None and not path.resolve().is_relative_to(inside.resolve()):
            raise OSError(errno.ELOOP, f"it is a link to a place outside {inside}", str(path))
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):  # even opening a device may have effects
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if facts.st_size > limit:
            raise too_large
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except ValueError as error:  # no file can have this name
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    except RuntimeError as error:  # a cycle of links
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    with open(descriptor, "rb") as file:
        start = file.read(len(begins))
        if start != begins:
            raise OSError(errno.EINVAL, "it holds something else", str(path))
        content = start + file.read(limit + 1 - len(start))
    if len(content) > limit:  # it has grown, or its size was unknown
        raise too_large
    return content
