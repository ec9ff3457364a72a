"""The command `python -m tuner report`: a job dir in, one HTML file out."""

from __future__ import annotations

import argparse
import os
import webbrowser
from pathlib import Path

from trainer.storage import atomic

NAME = "report.html"


class ReportError(Exception):
    """A page that could not be made; the message is a sentence for the user."""


def add_flags(command: argparse.ArgumentParser) -> None:
    """The flags of `report`."""
    command.add_argument(
        "job_dir", metavar="JOB_DIR|GS", help="of a run, a study, or a service's trials"
    )
    command.add_argument("--open", action="store_true", help="show it in a browser")
    command.add_argument(
        "--output",
        metavar="FILE",
        help=f"default: {NAME} in the job dir, or here if that is in a bucket",
    )


def run(options: argparse.Namespace) -> Path:
    """Writes the page and returns its path.

    Raises:
        ValueError: the command cannot be carried out as it is given.
        ReportError: there is nothing to report, or it cannot be read.
    """
    try:
        import jinja2  # noqa: F401
        import optuna  # noqa: F401
        import plotly  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"a report must have {error.name}. Install it: pip install '.[tuner]'"
        ) from None
    from tuner.cloud import fetch
    from tuner.report import html, playground
    from tuner.report.files import open_files
    from tuner.report.gather import NothingThere, gather

    try:
        files = open_files(options.job_dir)
    except fetch.FetchError as error:
        raise ReportError(str(error)) from error
    except OSError as error:
        raise ValueError(
            f"{options.job_dir} must be a folder that can be read: {error.strerror or error}."
        ) from None
    try:
        report = gather(files)
    except (NothingThere, fetch.FetchError) as error:
        raise ReportError(str(error)) from error
    play = playground.section(report.policy) if report.policy else None
    text = html.render(report, play)
    in_bucket = options.job_dir.startswith("gs://")
    folder = Path() if in_bucket else Path(options.job_dir).expanduser()
    output = Path(options.output) if options.output else folder / NAME
    try:
        _write(output, text.encode())
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{output} must be a file to write to: {why}.") from None
    if options.open:
        webbrowser.open(output.absolute().as_uri())
    return output


def _write(output: Path, page: bytes) -> None:
    """Writes the page whole, or leaves the old one; behind a link, where that leads."""
    if output.exists() and not output.is_file():  # a device or a pipe: nothing goes beside it
        output.write_bytes(page)
    else:
        atomic.write_bytes(Path(os.path.realpath(output)), page)
