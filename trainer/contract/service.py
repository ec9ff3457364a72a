"""Reads the environment variables that training services set."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from typing import NamedTuple

from trainer.contract.job_files import CHECKPOINT, EVENTS, SAVED_MODEL, is_inside

# Vertex' directories, and what belongs there: a served model lies in its folder itself.
DIRECTORIES = {
    "AIP_MODEL_DIR": (SAVED_MODEL, ""),
    "AIP_CHECKPOINT_DIR": (CHECKPOINT, CHECKPOINT),
    "AIP_TENSORBOARD_LOG_DIR": (EVENTS, EVENTS),
}


class Service(NamedTuple):
    """What a service asks for; None, or empty, for what it does not."""

    trial: str | None
    metric_tag: str | None  # the metric that it expects
    job_dir: str | None  # the parent of Vertex' directories
    places: Mapping[str, str]  # artefact -> its path in `job_dir`
    metric_file: str | None = None  # where it reads the tuning metric; only a tuning trial has one


def service(environment: Mapping[str, str]) -> Service:
    """Reads the variables of AI Platform and Vertex.

    Raises:
        ValueError: Vertex' directories are not valid, or have different parents.
    """
    trial = environment.get("CLOUD_ML_TRIAL_ID") or _trial_of(environment.get("TF_CONFIG", ""))
    tag = environment.get("CLOUD_ML_HP_METRIC_TAG") or None
    metric_file = environment.get("CLOUD_ML_HP_METRIC_FILE") or None
    return Service(trial, tag, *_directories(environment), metric_file)


def _trial_of(tf_config: str) -> str | None:
    """`task.trial` of TF_CONFIG."""
    try:
        trial = json.loads(tf_config)["task"]["trial"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    return str(trial) if isinstance(trial, str | int) and str(trial) else None


def _directories(environment: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """The parent of Vertex' directories, and the path of each artefact in it.

    They are `<base>/<trial>/model/`, `.../checkpoints/` and `.../logs/`.
    """
    given = {
        name: path
        for name in DIRECTORIES
        if (path := environment.get(name, "").strip().rstrip("/"))
    }
    if not given:
        return None, {}
    parents = {posixpath.dirname(path) for path in given.values()}
    # Directories of their own, so that a run can replace one and nothing else.
    names = {posixpath.basename(path) for path in given.values()}
    apart = len(names) == len(given) and all(map(is_inside, names))
    if len(parents) > 1 or not apart or any(parent.endswith(":") for parent in parents):
        raise ValueError(
            f"{', '.join(DIRECTORIES)} must lie side by side in one folder, but got "
            f"{', '.join(f'{name}={path}' for name, path in given.items())}; or give --job-dir."
        )
    places = {
        artefact: posixpath.join(posixpath.basename(given[name]), file).rstrip("/")
        for name, (artefact, file) in DIRECTORIES.items()
        if name in given
    }
    return parents.pop() or ".", places
