"""`python -m trainer.export JOB_DIR --to onnx,tflite,c,js,numpy`: a policy for other runtimes.

The exported policy is the one in `model.keras`: the agent that did best in validation.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from trainer.contract import streams
from trainer.contract.command_line import Parser
from trainer.contract.errors import SUCCESS, BadCommand, Error
from trainer.contract.job_files import EXPORTS, MANIFEST, MODEL, SETTINGS
from trainer.contract.settings import EXPORT_FORMATS, export_formats
from trainer.process import tensorflow_env
from trainer.process.console import quiet_standard_error
from trainer.storage import keras_file
from trainer.storage.address import Address, locate
from trainer.storage.job_dir import read_artefacts


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    streams.protect()
    parser = Parser(prog="python -m trainer.export", description=__doc__)
    parser.add_argument("job_dir", help="the folder of a finished run, or gs://bucket/path")
    parser.add_argument(
        "--to",
        required=True,
        metavar="FORMATS",
        help=f"{', '.join(EXPORT_FORMATS)}; several with commas between",
    )
    parser.add_argument(
        "--output", type=Path, help=f"default JOB_DIR/{EXPORTS}, or {EXPORTS} here for a bucket"
    )
    chosen = parser.parse_args(arguments)
    try:
        for path in export(chosen.job_dir, chosen.to, chosen.output):
            print(path)
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return SUCCESS


def export(job_dir: str, formats: str, output: Path | None = None) -> list[Path]:
    """Writes a run's policy in each of `formats`, and its model card. Returns the paths.

    Raises:
        BadCommand: there is no such format, or no model in the job dir.
        Error: a file cannot be read or written, or a package is missing.
    """
    try:
        chosen = export_formats(formats)
    except ValueError as error:
        raise BadCommand(str(error)) from error
    model, settings, manifest = read_artefacts(job_dir, MODEL, SETTINGS, MANIFEST)
    if model is None:
        raise BadCommand(
            f"{job_dir} holds no {MODEL}. `python -m trainer.recover` makes one of a run that was"
            " stopped early."
        )
    try:
        keras_file.check(model)
    except ValueError as error:
        raise BadCommand(
            f"{job_dir}/{MODEL} holds no policy: it cannot be read as a Keras model."
        ) from error
    tensorflow_env.prepare()
    here = Path() if isinstance(locate(job_dir), Address) else Path(job_dir)
    folder = output or here / EXPORTS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with quiet_standard_error():
            from trainer.exports import write_policy

            written = write_policy(model, settings, manifest, chosen, folder)
    except OSError as error:
        raise Error(f"{folder} cannot be written to: {error.strerror or error}.") from error
    return [folder / name for name in written]


if __name__ == "__main__":
    sys.exit(main())
