"""Routes output to the log of the run that a thread works for; other output to `fallback`."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TextIO

from trainer.process.console import log_handler

log = logging.getLogger("trainer")

_file: ContextVar[TextIO] = ContextVar("file")  # the log of the current run


class _RoutedStream(io.TextIOBase):
    """Writes to the log of the current run."""

    def __init__(self, fallback: TextIO) -> None:
        self._fallback = fallback

    def write(self, text: str) -> int:
        return _file.get(self._fallback).write(text)

    def flush(self) -> None:
        _file.get(self._fallback).flush()


@contextlib.contextmanager
def routed(fallback: TextIO) -> Iterator[None]:
    """Routes the log, stdout and stderr of the process."""
    stream = _RoutedStream(fallback)
    before, log.handlers = log.handlers, [log_handler(stream)]
    try:
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            yield
    finally:
        log.handlers = before


@contextlib.contextmanager
def output_to(file: TextIO) -> Iterator[None]:
    """Makes `file` the log of the current run, in this thread."""
    before = _file.set(file)
    try:
        yield
    finally:
        _file.reset(before)
