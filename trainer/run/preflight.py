"""Checks at the start what a run needs at its end, so that no training is lost.

They run before TensorFlow is imported, within a second.
"""

from __future__ import annotations

import functools
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.contract.errors import BadCommand
from trainer.contract.job_files import ARTEFACTS
from trainer.contract.settings import Command
from trainer.storage.address import Address
from trainer.storage.job_dir import JobDir

if TYPE_CHECKING:
    from trainer.environments.spec import Environment

_PATTERN = re.compile(r"\[.*\]|\\", re.DOTALL)


def check_path(location: Path | Address) -> None:
    """Raises BadCommand for a job dir whose path TensorFlow cannot save to, or load from."""
    # Files for a bucket are written to a temporary folder first.
    path = str(location) if isinstance(location, Path) else tempfile.gettempdir()
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise BadCommand(
            f"TensorFlow can only save to paths in UTF-8, but {path!a} is not. Choose another"
            " folder."
        ) from error
    if found := _PATTERN.search(path):
        raise BadCommand(
            f"TensorFlow cannot load a SavedModel from {path}, because it reads {found[0]!r} as a"
            " pattern. Choose a folder without brackets and backslashes."
        )


def check_files(job_dir: JobDir) -> None:
    """Makes the folders that artefacts lie in, and writes to them. Raises OSError."""
    for folder in {job_dir.at(name).parent for name in ARTEFACTS}:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def find_video_problem(command: Command, environment: Environment) -> str | None:
    """Why no video can be recorded; None if one can be, or none is wanted.

    Raises:
        BadCommand: --video was given.
    """
    if not command.options.video or (problem := _try_video(environment)) is None:
        return None
    if command.sources["video"] == "flag":
        raise BadCommand(
            f"{environment.id} cannot be recorded: {problem.rstrip('.')}. Leave --video out, or"
            " use --video=false."
        )
    return problem


@functools.lru_cache
def _try_video(environment: Environment) -> str | None:
    """The error of rendering and encoding one frame; None without one."""
    from trainer.outputs import video  # imports the encoder

    video.without_a_screen()
    try:
        video.try_one_frame(environment)
    except Exception as error:  # renderers and encoders raise anything
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None
