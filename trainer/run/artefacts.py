"""Writes the files of a scored run: one agent as models, as plain numbers and in a video."""

from __future__ import annotations

import threading

from trainer.contract.job_files import RECORDING
from trainer.outputs.models import save_models
from trainer.outputs.policy_json import save_policy
from trainer.outputs.video import save_recording
from trainer.process.console import quiet_standard_error
from trainer.run.state import RunState
from trainer.storage.job_dir import JobDir

_saving = threading.Lock()  # standard error, which is held back meanwhile, belongs to all runs


def write_artefacts(files: JobDir, state: RunState, agent: int, *, record: bool) -> dict[str, str]:
    """Returns problems by file: a video that cannot be recorded must not cost a run.

    Raises:
        OSError: a file cannot be written.
    """
    with _saving, quiet_standard_error():
        save_models(files, state.agents, agent, pixels=state.environment.pixels)
    save_policy(files, state.environment, state.policy(agent))
    if not record:
        return {}
    problem = save_recording(
        files,
        state.environment,
        lambda observation: state.agents.act_greedily(agent, observation),
        seed=state.recording_seed(agent),
    )
    return {} if problem is None else {RECORDING: problem}
