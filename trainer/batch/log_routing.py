"""Who speaks: what a thread logs or prints goes to the file of the run that it works for."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TextIO

from trainer.process.console import log_handler

log = logging.getLogger("trainer")

_file: ContextVar[TextIO] = ContextVar("file")  # of the run that is being worked for


class _Voices(io.TextIOBase):
    """A stream that is each thread's own."""

    def __init__(self, nobodys: TextIO) -> None:
        self._nobodys = nobodys

    def write(self, text: str) -> int:
        return _file.get(self._nobodys).write(text)

    def flush(self) -> None:
        _file.get(self._nobodys).flush()


@contextlib.contextmanager
def heard(nobodys: TextIO) -> Iterator[None]:
    """Lets runs speak with their own voices; what is said for none of them goes to `nobodys`."""
    voices = _Voices(nobodys)
    before, log.handlers = log.handlers, [log_handler(voices)]
    try:
        with contextlib.redirect_stdout(voices), contextlib.redirect_stderr(voices):
            yield
    finally:
        log.handlers = before


@contextlib.contextmanager
def speaking_to(file: TextIO) -> Iterator[None]:
    """What this thread says meanwhile goes to a file."""
    before = _file.set(file)
    try:
        yield
    finally:
        _file.reset(before)
