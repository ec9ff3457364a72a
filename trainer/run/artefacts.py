"""Writes the files of a scored run: one agent as models, as plain numbers and in a video."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.contract.job_files import EXPORTS, MODEL, RECORDING, SETTINGS
from trainer.contract.settings import export_formats
from trainer.outputs.models import save_models
from trainer.outputs.policy_json import save_policy
from trainer.outputs.video import save_recording
from trainer.process.console import quiet_standard_error
from trainer.run.state import RunState
from trainer.storage.job_dir import JobDir

log = logging.getLogger("trainer")

_saving = threading.Lock()  # saving redirects standard error, which all runs share


def write_artefacts(
    files: JobDir, state: RunState, agent: int, scores: Mapping[str, Any], *, record: bool
) -> dict[str, str]:
    """Writes the files. Returns problems by file: video and exports must not end a run.

    Raises:
        OSError: a file cannot be written.
    """
    with _saving, quiet_standard_error():
        save_models(files, state.agents, agent, pixels=state.environment.pixels)
    save_policy(files, state.environment, state.policy(agent))
    found = {}
    if formats := export_formats(state.command.options.export):
        record_of_run = {"scores": scores, "saved_agent": {"index": agent}}
        found[EXPORTS] = _export(files, json.dumps(record_of_run).encode(), formats)
    if record:
        found[RECORDING] = save_recording(
            files,
            state.environment,
            lambda observation: state.agents.act_greedily(agent, observation),
            seed=state.recording_seed(agent),
        )
    return {name: problem for name, problem in found.items() if problem is not None}


def _export(files: JobDir, manifest: bytes, formats: Sequence[str]) -> str | None:
    """Writes the saved policy in other formats. Returns the error, if any."""
    from trainer.exports import ExportError, write_policy

    model, settings = (files.at(name).read_bytes() for name in (MODEL, SETTINGS))

    def save(folder: Path) -> None:
        folder.mkdir()
        write_policy(model, settings, manifest, formats, folder)

    try:
        with _saving, quiet_standard_error():
            files.write(EXPORTS, save)
    except ExportError as error:
        log.error("No exports: %s", error)
        return str(error)
    return None
