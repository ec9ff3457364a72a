"""The console: log lines, without TensorFlow's start-up messages."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import TextIO

from trainer.contract import streams
from trainer.contract.text import wrapped

log = logging.getLogger("trainer")

COMMAND = "command"  # attribute of a record: a line to paste, never wrapped


def log_to_console(news_to: TextIO | None = None) -> None:
    """Sends warnings and errors to stderr, the rest to stdout: cloud logs file stderr as errors."""
    streams.protect()
    news = _Console(news_to or sys.stdout)
    news.addFilter(lambda record: record.levelno < logging.WARNING)
    trouble = _Console(sys.stderr)
    trouble.setLevel(logging.WARNING)
    trouble.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    log.handlers = [news, trouble]
    log.setLevel(logging.INFO)
    log.propagate = False


class _Console(logging.StreamHandler[TextIO]):
    """Writes lines; on a terminal it wraps them at spaces, and writes above a progress bar."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not self.stream.isatty() or record.exc_info or getattr(record, COMMAND, False):
            return text
        width = shutil.get_terminal_size().columns
        return "\n".join(wrapped(line, width) for line in text.split("\n"))

    def emit(self, record: logging.LogRecord) -> None:
        bars = sys.modules.get("tqdm") if self.stream.isatty() else None
        with bars.tqdm.external_write_mode() if bars else contextlib.nullcontext():
            super().emit(record)


def log_handler(file: TextIO | io.TextIOBase) -> logging.Handler:
    """A handler that writes whatever is logged into one file."""
    handler = logging.StreamHandler(file)
    handler.setFormatter(_Labelled())
    return handler


class _Labelled(logging.Formatter):
    """Begins warnings and errors with their level."""

    def format(self, record: logging.LogRecord) -> str:
        label = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        return f"{label}{super().format(record)}"


def python_command() -> str:
    """The command for the running Python in this directory, quoted for a shell."""
    on_path = shutil.which("python")
    # Not samefile: a virtual environment's Python is a link to the one it was made from.
    same = on_path is not None and os.path.abspath(on_path) == os.path.abspath(sys.executable)
    return "python" if same else shlex.quote(os.path.relpath(sys.executable))


@contextlib.contextmanager
def quiet_standard_error() -> Iterator[None]:
    """Holds back what libraries write to stderr, C++ ones too; shows it if they fail."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    with (
        tempfile.TemporaryFile() as held,
        streams.lossy(os.dup(2), owned=True) as real,
        _our_log_on(real),
    ):
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            real.write(held.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(real.fileno(), 2)


@contextlib.contextmanager
def _our_log_on(stream: TextIO) -> Iterator[None]:
    """Sends our own warnings to `stream` while stderr is redirected."""
    ours = [
        (handler, handler.stream)
        for handler in log.handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr
    ]
    for handler, _ in ours:
        handler.setStream(stream)
    try:
        yield
    finally:
        for handler, before in ours:
            handler.setStream(before)
