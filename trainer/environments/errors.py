"""Errors of environments: one that cannot be used, and one that fails while it runs."""

from __future__ import annotations

import importlib
import logging
import os
import traceback
from pathlib import Path
from typing import Any

import trainer
from trainer.contract.errors import BadCommand, Error

log = logging.getLogger("trainer")

# Frames of a traceback that are not the user's code.
_OURS = (str(Path(trainer.__file__).parent), "<frozen", importlib.__path__[0])
_GYMNASIUM = f"{os.sep}gymnasium{os.sep}"


class BadEnvironment(BadCommand):
    """The environment is unknown, cannot be made, or cannot be used by the trainer."""


class UnnamedCode(BadEnvironment):
    """A job dir names code to import that the command does not name."""


class EnvironmentFault(Error):
    """An environment raised, or returned an invalid value; `details` is a traceback, or empty."""

    def __init__(self, sentence: str, details: str = "") -> None:
        super().__init__(sentence, details)
        self.details = details

    def __str__(self) -> str:
        return str(self.args[0])


def cause(error: BaseException) -> str:
    """What an exception says, with its type, on one line."""
    text: Any = " ".join(str(error).split())
    text = text if text.isprintable() else ascii(text)
    shortened = text if len(text) <= 500 else f"{text[:500]}..."
    return f"{type(error).__name__}: {shortened}" if shortened else type(error).__name__


def own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Where an error came from: its frames without those of Gymnasium and the trainer."""
    frames = traceback.extract_tb(error.__traceback__)
    return [
        frame
        for frame in frames
        if not frame.filename.startswith(_OURS) and _GYMNASIUM not in frame.filename
    ]


def formatted(error: BaseException) -> str:
    return "".join(traceback.format_list(own_frames(error))).rstrip()


def log_traceback(error: BaseException) -> None:
    """Logs where an error in code of the user's came from."""
    if lines := formatted(error):
        log.error("%s was raised in\n%s", type(error).__name__, lines)
