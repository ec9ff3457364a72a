"""A trial's video and command as artifacts of Optuna, for optuna-dashboard.

`optuna-dashboard JOB_DIR/study.journal --artifact-dir JOB_DIR/artifacts` shows them. An artifact is
a file in that folder, and an attribute of its trial that describes the file. Optuna's own
`upload_artifact` writes the same, but copies each file, and imports the clients of several clouds.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from trainer.contract.job_files import RECORDING
from tuner.execution.trial_command import Task

FOLDER = "artifacts"
COMMAND = "flags.txt"
_ATTRIBUTE = "artifacts:"  # and the artifact's id
_TYPES = {RECORDING: "video/mp4", COMMAND: "text/plain"}


def keep(
    target: tuple[Any, FrozenTrial], root: Path, task: Task, warn: Callable[[str], None]
) -> None:
    """Adds a trial's video and command once, after its process has ended; errors are warnings.

    Call it before the trial is finished in Optuna, which accepts no changes afterwards.

    Args:
        target: Optuna's storage and trial.
    """
    try:
        _keep(*target, root / FOLDER, task)
    except Exception as error:  # file systems and Optuna's storages raise many types
        reason = str(error).splitlines()[:1] or [""]
        warn(f"{task.name}: not all artifacts were kept: {type(error).__name__}: {reason[0]}")


def _keep(storage: Any, trial: FrozenTrial, folder: Path, task: Task) -> None:
    attributes = storage.get_trial_system_attrs(trial._trial_id)
    kept = {json.loads(v)["filename"] for k, v in attributes.items() if k.startswith(_ATTRIBUTE)}
    folder.mkdir(exist_ok=True)
    for name in _TYPES.keys() - kept:
        found = {"artifact_id": str(uuid.uuid4()), "filename": name, "mimetype": _TYPES[name]}
        target = folder / found["artifact_id"]
        if name == COMMAND:
            target.write_text("\n".join(task.words) + "\n", encoding="utf-8")
        elif (task.job_dir / name).is_file():
            _link(task.job_dir / name, target)
        else:
            continue
        content = json.dumps({**found, "encoding": None})
        storage.set_trial_system_attr(trial._trial_id, _ATTRIBUTE + target.name, content)


def _link(source: Path, target: Path) -> None:
    """Hard-links a file, which is safe: the trainer replaces files and never changes one."""
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
