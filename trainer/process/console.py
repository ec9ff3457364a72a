"""What a person sees: log lines, a progress bar, and none of TensorFlow's start-up noise."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import TextIO

log = logging.getLogger("trainer")


def log_to_console(news_to: TextIO | None = None) -> None:
    """Sends news to stdout, warnings and errors to stderr: cloud logs file stderr as errors."""
    news = logging.StreamHandler(news_to or sys.stdout)
    news.addFilter(lambda record: record.levelno < logging.WARNING)
    trouble = logging.StreamHandler(sys.stderr)
    trouble.setLevel(logging.WARNING)
    trouble.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    log.handlers = [news, trouble]
    log.setLevel(logging.INFO)
    log.propagate = False


def log_handler(file: TextIO | io.TextIOBase) -> logging.Handler:
    """Writes all that is logged into one file, as a terminal would show it."""
    handler = logging.StreamHandler(file)
    handler.setFormatter(_Labelled())
    return handler


class _Labelled(logging.Formatter):
    """Says of warnings and errors that they are some."""

    def format(self, record: logging.LogRecord) -> str:
        label = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        return f"{label}{super().format(record)}"


def python_command() -> str:
    """What a person types here to get the Python that runs this."""
    on_path = shutil.which("python")
    # Not samefile: a virtual environment's Python is a link to the one it was made from.
    same = on_path is not None and os.path.abspath(on_path) == os.path.abspath(sys.executable)
    return "python" if same else os.path.relpath(sys.executable)


@contextlib.contextmanager
def quiet_standard_error() -> Iterator[None]:
    """Holds back what libraries write to stderr, below Python too; shows it if they fail."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as held, _our_log_on(real):
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(real, held.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)


@contextlib.contextmanager
def _our_log_on(descriptor: int) -> Iterator[None]:
    """Lets warnings of other threads through, whatever becomes of stderr meanwhile."""
    ours = [
        handler
        for handler in log.handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.__stderr__
    ]
    with os.fdopen(os.dup(descriptor), "w", buffering=1) as real:
        for handler in ours:
            handler.setStream(real)
        try:
            yield
        finally:
            for handler in ours:
                handler.setStream(sys.__stderr__)
