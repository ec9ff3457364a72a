"""Runs trials in containers, with the command line of a tuning service.

The engine's client passes SIGTERM on to the trainer, but a client that is killed leaves its
container running. So each container is named after its trial's folder, and can be ended by name.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.contract.errors import Error
from tuner.execution.process_lock import GRACE

DEFAULT_ENGINE = "docker"
_ANSWER = 60.0  # seconds to wait for the engine
_SERVICE = ("CLOUD_ML_", "TF_CONFIG")  # variables that a tuning service sets
_CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"
_STORAGE = ("GOOGLE_CLOUD_", "STORAGE_EMULATOR_HOST")


class ContainerError(Error):
    """A container that cannot be started or ended."""


@dataclass(frozen=True)
class Containers:
    """Where trials run: an engine that takes docker's arguments, and the image."""

    engine: str
    image: str
    entrypoint: Sequence[str] = ()  # replaces the image's own
    bucket: bool = False  # trials write to a bucket: they get network and credentials

    def check(self, folder: Path) -> None:
        """Raises ContainerError if trials in the study's folder cannot be started."""
        if shutil.which(self.engine) is None:
            raise ContainerError(
                f"There is no container engine {self.engine}, which --image needs. Install it, or"
                " set CONTAINER_ENGINE to another."
            )
        if ":" in str(folder.absolute()):
            raise ContainerError(
                f"{folder.absolute()} has a colon in its path, which container engines do not"
                " mount. Choose another job dir."
            )
        asked = self._ask("image", "inspect", "--format", "{{.Id}}", self.image)
        if asked.returncode:
            raise ContainerError(
                f"{self.engine} does not have the image {self.image}: {_last_line(asked)}. Build it"
                " with scripts/build_image.sh, or pull it."
            )

    def command(self, folder: Path, words: Sequence[str], service: Mapping[str, str]) -> list[str]:
        """The command line of the client that runs a trial and returns its exit code.

        Args:
            folder: the trial's own; it has the same path inside.
            words: the trial's command line.
            service: the environment of a trial as a plain process.
        """
        path = str(folder.absolute())
        names = (*_SERVICE, *_STORAGE) if self.bucket else _SERVICE
        environment = {name: text for name, text in service.items() if name.startswith(names)}
        mounts = [f"{path}:{path}"]
        if self.bucket:  # a run that cannot be uploaded stays there
            environment |= {"TMPDIR": path, "PYTHONDONTWRITEBYTECODE": "1"}
        key = _credentials(service) if self.bucket else None
        if key is not None:
            environment[_CREDENTIALS] = str(key)
            mounts.append(f"{key}:{key}:ro")
        command, *before = [*self.entrypoint] or [""]
        return [
            *(self.engine, "run", "--rm", "--name", name_of(folder)),
            *("--label", f"a2c-cloud-trainer.trial={path}"),
            *("--user", f"{os.getuid()}:{os.getgid()}"),
            *("--network", "host" if self.bucket else "none"),
            *(word for mount in mounts for word in ("--volume", mount)),
            *(f"--env={name}={text}" for name, text in environment.items()),
            *(("--entrypoint", command) if command else ()),
            *(self.image, *before, *words),
        ]

    def kill(self, folder: Path) -> None:
        """Kills a container, if it runs."""
        self._ask("kill", name_of(folder))

    def remove(self, folder: Path) -> None:
        """Stops and removes a container that an earlier client may have left running.

        Raises:
            ContainerError: it is still there.
        """
        name = name_of(folder)
        if not self._is_there(name):
            return
        self._ask("stop", "-t", f"{GRACE:.0f}", name, patience=_ANSWER + GRACE)
        removed = self._ask("rm", "--force", name)
        if self._is_there(name):
            raise ContainerError(
                f"Container {name} uses {folder} and cannot be removed: {_last_line(removed)}. End"
                " it."
            )

    def _is_there(self, name: str) -> bool:
        return self._ask("container", "inspect", "--format", "{{.Id}}", name).returncode == 0

    def _ask(self, *words: str, patience: float = _ANSWER) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [self.engine, *words],
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=patience,
                start_new_session=True,  # the terminal's Ctrl-C is for the tuner
            )
        except subprocess.TimeoutExpired as error:
            raise ContainerError(
                f"{self.engine} did not answer for {patience:.0f} s. Check that it is running."
            ) from error


def name_of(folder: Path) -> str:
    """The container's name: readable, and unique to this folder on this machine."""
    path = str(folder.absolute())
    parts = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(Path(path).parts[-2:])).strip("-")
    return f"trial-{parts[-40:].strip('-')}-{hashlib.sha256(path.encode()).hexdigest()[:12]}"


def _credentials(environment: Mapping[str, str]) -> Path | None:
    """The file with the user's application default credentials, if there is one."""
    gcloud = environment.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud"
    named = environment.get(_CREDENTIALS)
    file = Path(named) if named else Path(gcloud) / "application_default_credentials.json"
    return file.absolute() if file.is_file() else None


def _last_line(asked: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in asked.stderr.splitlines() if line.strip()]
    return (lines[-1].strip() if lines else f"exit code {asked.returncode}").rstrip(".")
