"""`python -m trainer.sync FOLDER gs://bucket/path`: uploads files that a run could not."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from trainer.contract import streams
from trainer.contract.command_line import Parser
from trainer.contract.job_files import MANIFEST, SETTINGS, json_object, listed
from trainer.contract.settings import RunOptions
from trainer.process.console import log_to_console
from trainer.run.upload import Uploader
from trainer.storage.address import BadAddress, parse
from trainer.storage.file_lock import Taken
from trainer.storage.gcs import RemoteFolder, StorageError


class Unfit(Exception):
    """The folder holds no complete run, or the address holds another run."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code."""
    streams.protect()
    parser = Parser(prog="python -m trainer.sync", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder that the run's last message names")
    parser.add_argument("job_dir", help="gs://bucket/path, the job dir that the run was given")
    parser.add_argument(
        "--deadline",
        type=float,
        default=RunOptions.upload_deadline,
        help=f"seconds to keep trying for; default {RunOptions.upload_deadline:g}",
    )
    chosen = parser.parse_args(arguments)
    if not chosen.deadline >= 0:
        parser.error(f"deadline={chosen.deadline} is negative or not a number. Give 0 or more.")
    try:
        remote = RemoteFolder(parse(chosen.job_dir))
        settings = check(chosen.folder)
    except (BadAddress, ValueError, Unfit) as error:
        parser.error(str(error))
    log_to_console()
    try:
        missing = upload(chosen.folder, settings, remote, chosen.deadline)
    except (StorageError, Taken, Unfit) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if missing:
        print(
            f"error: {', '.join(missing)} could not be uploaded to {remote.address} within"
            f" {chosen.deadline:g} s. Run the same command again.",
            file=sys.stderr,
        )
        return 1
    print(f"{remote.address} holds all files. {chosen.folder} can be deleted.")
    return 0


def check(folder: Path) -> dict[str, object]:
    """Checks that the folder holds a complete run; returns the run's settings.

    Raises:
        Unfit: it holds no run, or its files differ from its manifest.
    """
    settings = _settings((folder / SETTINGS).read_bytes() if (folder / SETTINGS).is_file() else b"")
    if settings is None:
        raise Unfit(f"{folder} holds no run: it has no valid {SETTINGS}. Give a run's folder.")
    if (folder / MANIFEST).is_file():
        manifest = json_object((folder / MANIFEST).read_bytes())
        for name, (size, sha256) in listed(manifest or {}).items():
            try:
                content = (folder / name).read_bytes()
            except (OSError, ValueError):  # or the name is not valid
                content = None
            if content is None or (len(content), hashlib.sha256(content).hexdigest()) != (
                size,
                sha256,
            ):
                raise Unfit(
                    f"{folder} is damaged: {name!r} is missing, or differs from what {MANIFEST}"
                    " lists."
                )
    return settings


def upload(
    folder: Path, settings: dict[str, object], remote: RemoteFolder, deadline: float
) -> list[str]:
    """Uploads the folder, the manifest last, and returns the paths that are still missing.

    Raises:
        StorageError: a request failed.
        Taken: another process works on the folder.
        Unfit: the address holds another run.
    """

    def look(remote: RemoteFolder) -> tuple[()]:
        if SETTINGS in remote.objects and _settings(remote.read(SETTINGS)) != settings:
            raise Unfit(f"{remote.address} holds another run. Give this run's own job dir.")
        return ()

    uploader = Uploader(folder, remote, deadline, look)
    try:
        missing = uploader.flush(deadline)
        if uploader.fault is not None:
            raise uploader.fault
        return missing
    finally:
        uploader.close()


def _settings(content: bytes) -> dict[str, object] | None:
    settings = (json_object(content) or {}).get("settings")
    return settings if isinstance(settings, dict) else None


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # does not wait for an upload that hangs
