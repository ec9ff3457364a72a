"""What a trial leaves to look at, beside it in Optuna's storage: video, curve and flags.

`optuna-dashboard STORAGE --artifact-dir JOB_DIR/artifacts` shows them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from optuna.trial import FrozenTrial

from trainer.storage.run_files import read_curve
from tuner.execution.trial_command import Task
from tuner.outputs import plot

# Optuna's other stores ask for their clouds' clients, which are slow to import and not used here.
_CLIENTS = [name for name in ("boto3", "google.cloud.storage") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_CLIENTS))  # type: ignore[arg-type]
try:
    from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta, upload_artifact
finally:
    for _name in _CLIENTS:
        del sys.modules[_name]

FOLDER = "artifacts"
VIDEO, CURVE, FLAGS = "recording.mp4", "curve.svg", "flags.txt"


class Links(FileSystemArtifactStore):
    """A folder of artefacts that are other names of files which lie on its disk already.

    The trainer replaces its files and never writes into one, so a name keeps what it was given.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        try:
            os.link(content_body.name, self._folder / artifact_id)
        except OSError:  # another disk, or one without links
            super().write(artifact_id, content_body)


def keep(
    place: tuple[Any, FrozenTrial], root: Path, task: Task, warn: Callable[[str], None]
) -> None:
    """Adds what a trial that has ended left; what is there already stays.

    It is done before Optuna is told of the end, for then nothing can be added to a trial; so a
    tuner that is killed in between comes by here again. Whatever goes wrong is a warning.

    Args:
        place: a storage of Optuna's, and its trial there.
    """
    try:
        _keep(*place, root / FOLDER, task)
    except Exception as error:  # disks, databases and encoders raise anything
        reason = str(error).splitlines()[:1] or [""]
        warn(f"{task.name}: not all to look at is kept: {type(error).__name__}: {reason[0]}")


def _keep(storage: Any, trial: FrozenTrial, folder: Path, task: Task) -> None:
    there = {meta.filename for meta in get_all_artifact_meta(trial, storage=storage)}
    folder.mkdir(exist_ok=True)
    # Beside the artefacts, so that those made here become theirs by a link too.
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as temporary:
        for file in _files(task, Path(temporary)):
            if file.name not in there:
                upload_artifact(
                    artifact_store=Links(folder),
                    file_path=str(file),
                    study_or_trial=trial,
                    storage=storage,
                )


def _files(task: Task, temporary: Path) -> list[Path]:
    """What there is to keep of a trial, wherever it lies."""
    flags, curve, video = temporary / FLAGS, temporary / CURVE, task.job_dir / VIDEO
    flags.write_text("\n".join(task.words) + "\n", encoding="utf-8")
    files = [flags]
    if points := read_curve(task.job_dir):
        curve.write_text(plot.svg(points, task.name), encoding="utf-8")
        files.append(curve)
    return [*files, video] if video.is_file() else files
