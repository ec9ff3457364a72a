"""Runs trials on one node of a Ray cluster: an actor with an executor as on a single machine."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import os
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.contract import provenance
from trainer.contract.errors import Error
from trainer.storage import address, atomic, gcs
from tuner.execution import machine_faults, worker_pool
from tuner.execution.local_trial import LocalExecutor, TrialSettings
from tuner.execution.metric_file import Measurement
from tuner.execution.process_lock import StillRunning
from tuner.execution.processes import ProcessExecutor
from tuner.execution.trial import FAILED, METRIC, Outcome
from tuner.execution.trial_command import Task

_PAUSE = 0.1  # seconds between looks at the trials
_QUIET = 5.0  # seconds after which `news` returns even if there are none


@dataclass(frozen=True)
class NodeSettings:
    """A study's settings for a node. They are sent over the network, so they hold no secrets."""

    program: Sequence[str]  # what the node's Python runs for a trial
    batch: Sequence[str]  # what it runs for many trials; empty: each has a process of its own
    metric: str
    job: str
    time_limit: float
    folder: Path  # the study's, which all nodes see; unused if it has a bucket
    bucket: str
    cpus: float  # that a trial takes
    versions: Mapping[str, str]  # the tuner's


@dataclass(frozen=True)
class News:
    """A trial's new reports, and its outcome once it has ended."""

    name: str
    measurements: Sequence[Measurement]
    outcome: Outcome | None


class Node:
    """The actor. Its methods run in one event loop; trials are started in a thread."""

    def __init__(self, settings: NodeSettings, name: str, cores: float) -> None:
        self._settings = settings
        self._folder = settings.folder
        if settings.bucket:
            key = hashlib.sha256(settings.bucket.encode()).hexdigest()[:12]
            self._folder = Path(tempfile.gettempdir()) / f"trials-{key}"
        self._cores, self._own_folder = cores, self._folder / "nodes" / name
        self._executor: LocalExecutor | None = None
        self._sent: dict[str, Sequence[Measurement]] = {}  # of the trials that run here
        self._stops: dict[str, str] = {}  # trial -> why it is to stop, once it has started
        self._failed: list[News] = []  # trials that could not be started

    def check(self, token: str) -> str:
        """Returns the reason why trials cannot run here, or "".

        Args:
            token: the name of a file in the study's folder, to recognise that folder.
        """
        theirs, ours = self._settings.versions, provenance.versions()
        for package in sorted(theirs.keys() | ours.keys()):
            if theirs.get(package) != ours.get(package):
                return (
                    f"has {package} {ours.get(package, 'not installed')}, but the tuner has"
                    f" {theirs.get(package, 'not installed')}. Install the same version there"
                )
        try:
            if self._settings.bucket:
                self._try_bucket()
            elif not (self._folder / token).exists():
                return (
                    f"does not see the job dir {self._folder}. Give a job dir that all nodes"
                    " share: a bucket or a shared folder"
                )
            else:
                (self._folder / f"{token}-{uuid.uuid4().hex}").touch()
            self._own_folder.mkdir(parents=True, exist_ok=True)
            self._executor = self._local_executor()
        except (OSError, ValueError, Error, gcs.StorageError) as error:
            where = self._settings.bucket or self._folder
            return f"cannot use the job dir {where}: {error}"
        return ""

    async def submit(
        self, task: Task, folder: str, reports: bytes | None, gpus: str | None
    ) -> None:
        """Starts a trial.

        Args:
            folder: the trial's, relative to the study's.
            reports: its metric file, if it began on another node.
            gpus: the devices that it may use.
        """
        assert self._executor is not None
        variables = {} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus}
        task = dataclasses.replace(task, job_dir=self._folder / folder, variables=variables)
        self._sent[task.name] = ()
        try:
            if reports and not (task.job_dir / METRIC).exists():
                task.job_dir.mkdir(parents=True, exist_ok=True)
                atomic.write_bytes(task.job_dir / METRIC, reports)
            trial = await asyncio.to_thread(self._executor.submit, task)
        except (OSError, Error) as error:
            fault = machine_faults.find(1, [str(error)])
            if isinstance(error, StillRunning):
                fault = machine_faults.LOCKED
            outcome = Outcome(FAILED, f"it did not start: {error}", 1, (), 0, 0, (), fault)
            self._failed.append(News(task.name, (), outcome))
            return
        if reason := self._stops.pop(task.name, ""):
            trial.stop(reason)

    async def stop(self, name: str, reason: str) -> None:
        """Asks a trial to end with a checkpoint."""
        assert self._executor is not None
        self._stops[name] = reason
        for trial in self._executor.running:
            if trial.task.name == name:
                trial.stop(self._stops.pop(name))

    async def news(self) -> list[News]:
        """Waits for new reports and ends of trials; returns an empty list after a while."""
        assert self._executor is not None
        for _ in range(round(_QUIET / _PAUSE)):
            found, self._failed = self._failed, []
            for ended, outcome in self._executor.poll():
                found.append(News(ended.task.name, outcome.measurements, outcome))
            for trial in self._executor.running:
                if trial.measurements and trial.measurements != self._sent[trial.task.name]:
                    self._sent[trial.task.name] = trial.measurements
                    found.append(News(trial.task.name, trial.measurements, None))
            if found:
                return found
            await asyncio.sleep(_PAUSE)
        return []

    async def close(self) -> None:
        """Ends the trainer processes."""
        if self._executor is not None:
            await asyncio.to_thread(self._executor.close)
        with contextlib.suppress(OSError):
            self._own_folder.rmdir()

    def _local_executor(self) -> LocalExecutor:
        settings = TrialSettings(
            (sys.executable, *self._settings.program),
            _environment(os.environ),
            self._settings.metric,
            self._settings.job,
            self._settings.time_limit,
            attached=True,
        )
        if not self._settings.batch:
            return ProcessExecutor(settings)
        trials = max(1, int(self._cores / self._settings.cpus))
        count, cores = worker_pool.processes(max(1, int(self._cores)), trials)
        command = (sys.executable, *self._settings.batch, f"--cores={cores}")
        stack = worker_pool.StackExecutor(settings, count, self._own_folder, command)
        stack.start()
        return stack

    def _try_bucket(self) -> None:
        """Lists the study's folder and writes to it. Raises StorageError, ValueError."""
        remote = gcs.RemoteFolder(address.parse(f"{self._settings.bucket}/nodes"))
        remote.list()
        remote.check_rights()


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    """A trial's environment, as if Ray had not started it."""
    ours = ("RAY_", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
    return {name: value for name, value in base.items() if not name.startswith(ours)}
