"""The command `python -m tuner report`: a job dir as one HTML file."""

from __future__ import annotations

import argparse
import os
import webbrowser
from pathlib import Path

from trainer.contract.errors import SUCCESS, BadCommand
from trainer.storage import atomic
from trainer.storage.address import locate
from tuner.commands.errors import why

NAME = "report.html"


def add_flags(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Writes one HTML file that needs nothing else: scores with intervals, curves, parameters,"
        " videos, and how to reproduce the winner."
    )
    command.add_argument(
        "job_dir", metavar="JOB_DIR|GS", help="of a run, a study, or a service's trials"
    )
    command.add_argument("--open", action="store_true", help="show it in a browser")
    command.add_argument(
        "--output",
        metavar="FILE",
        help=f"default: {NAME} in the job dir, or here if that is in a bucket",
    )


def run(options: argparse.Namespace) -> int:
    """Writes the page and prints its path."""
    try:
        from tuner.report import html, playground
        from tuner.report.files import open_files
        from tuner.report.gather import gather
    except ImportError as error:
        raise BadCommand(f"{error.name} is not installed. Run: pip install '.[tuner]'") from error

    try:
        files = open_files(options.job_dir)
    except OSError as error:
        raise BadCommand(f"{options.job_dir} could not be read: {why(error)}.") from error
    report = gather(files)
    play = playground.section(report.policy) if report.policy else None
    text = html.render(report, play)
    location = locate(options.job_dir)
    output = (location if isinstance(location, Path) else Path()) / NAME
    try:
        if options.output:
            output = Path(options.output)
            _write(output, text.encode())
        else:  # replaces a link instead of following it: the job dir may be untrusted
            atomic.write_bytes(output, text.encode())
    except (OSError, ValueError) as error:
        raise BadCommand(f"{output} could not be written: {why(error)}.") from error
    print(output)
    if options.open:
        webbrowser.open(output.absolute().as_uri())
    return SUCCESS


def _write(output: Path, page: bytes) -> None:
    """Replaces a file atomically, also behind a link; writes to a device or a pipe directly."""
    if output.exists() and not output.is_file():
        output.write_bytes(page)
    else:
        atomic.write_bytes(Path(os.path.realpath(output)), page)
