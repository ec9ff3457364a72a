"""Standard streams that never raise: output to a closed, broken or full one is dropped."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from typing import Any

_GONE = (errno.EPIPE, errno.EBADF)  # the reader has gone, as `| head` does


class _Lossy(io.FileIO):
    """A file descriptor whose failed writes are dropped instead of raised."""

    refused: OSError | None = None  # the first error worth reporting

    def write(self, data: Any, /) -> int:
        try:
            while (written := super().write(data)) is None:  # the reader made it non-blocking
                select.select([], [self], [])
            return written
        except OSError as error:
            if error.errno not in _GONE and self.refused is None:
                self.refused = error
                self._warn(error)
            return memoryview(data).nbytes

    def _warn(self, error: OSError) -> None:
        if self.fileno() == 1:
            with contextlib.suppress(OSError):
                os.write(2, f"warning: stdout could not be written: {error.strerror}\n".encode())


def protect() -> None:
    """Makes stdout and stderr drop what they cannot write; call it before anything is printed.

    Closed descriptors are opened on /dev/null. Otherwise the next file that is opened would get
    their number, and with it the output of libraries.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None or _is_standard(stream, number):
            setattr(sys, name, lossy(number, stream))


def lossy(
    descriptor: int, like: io.TextIOWrapper | None = None, *, owned: bool = False
) -> io.TextIOWrapper:
    """A text stream to a descriptor; it drops what it cannot write.

    Args:
        like: a stream whose encoding and buffering to use.
        owned: whether closing the stream closes the descriptor.
    """
    raw = _Lossy(descriptor, "w", closefd=owned)
    unbuffered = like is not None and like.write_through
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=like.encoding if like else "utf-8",
        errors="backslashreplace",  # for characters that the terminal lacks
        line_buffering=descriptor != 1 or unbuffered or raw.isatty(),
        write_through=unbuffered,
    )


def refused() -> bool:
    """Whether stdout has dropped output, as on a full disk; not if its reader has gone."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Lossy) and raw.refused is not None


def _is_standard(stream: object, descriptor: int) -> bool:
    """Whether it is the process' own stream, not one that a test or a caller put in its place."""
    if not isinstance(stream, io.TextIOWrapper) or isinstance(stream.buffer, io.BytesIO):
        return False
    if isinstance(getattr(stream.buffer, "raw", None), _Lossy):
        return False
    with contextlib.suppress(OSError, ValueError):
        return stream.fileno() == descriptor
    return False
