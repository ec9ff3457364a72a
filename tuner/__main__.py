"""The command `python -m tuner`: run, show, report, reproduce, lint, vertex, status, fetch."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tuner.cloud import fetch, jobs, vertex_job
from tuner.commands import report as report
from tuner.commands import reproduce, run
from tuner.outputs import recipe
from tuner.spec import loader
from tuner.spec.diagnostics import Finding, Refused, errors, shown

GOOD, FAILED, BAD_COMMAND, INTERRUPTED = 0, 1, 2, 130


class BadCommand(Exception):
    """A command that cannot be carried out as it is given."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carries out one command and returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a file may hold any character
    try:
        options = _parser().parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
        code: int = options.command(options)
        return code
    except BadCommand as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_COMMAND
    except KeyboardInterrupt:
        return INTERRUPTED


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--trainer-args WORDS` in one: argparse would take words that begin with -- for flags."""
    words: list[str] = []
    for word in arguments:
        if words and words[-1] == "--trainer-args":
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


class _Parser(argparse.ArgumentParser):
    """Ends a bad command with code 2 and one sentence."""

    def error(self, message: str) -> NoReturn:
        if "argument COMMAND" in message:  # --help lists them
            message = re.sub(r" \(choose from.*", "", message)
        print(f"error: {message}. Try --help.", file=sys.stderr)
        raise SystemExit(BAD_COMMAND)


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m tuner",
        description="Searches for good hyperparameters of the trainer.",
        epilog="Exit codes: 0 success, 1 a file with errors or a job that cannot be had, 2 a bad"
        " command line; 130, 143 a signal.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    command = commands.add_parser(
        "run",
        help="search on this machine, and find out how lucky the best trial was",
        description="Runs a study here: searches, trains the best trials again on fresh seeds, and"
        " tests the winner on others still. The same command goes on with a study.",
        allow_abbrev=False,
    )
    run.add_flags(command)
    command.set_defaults(command=_run)
    command = commands.add_parser(
        "show",
        help="the trials and the best one's curve, in the terminal",
        description="Shows what lies in the job dir of a study or of one run.",
        allow_abbrev=False,
    )
    command.add_argument("job_dir", metavar="JOB_DIR", help="a folder")
    command.set_defaults(command=_show)
    command = commands.add_parser(
        "reproduce",
        help="run a study's winner again, and say whether it is the same",
        description="Runs the winner of a best.json again: to the last bit on the same machine type"
        " and versions, elsewhere within the interval of its score. Exit code 1 where it is not.",
        allow_abbrev=False,
    )
    reproduce.add_flags(command)
    command.set_defaults(command=_reproduce)
    command = commands.add_parser(
        "report",
        help="make one page of a run, a study or a tuning job",
        description="Writes one HTML file that needs nothing else: scores with intervals, curves,"
        " parameters, videos, and how to get the winner again.",
        allow_abbrev=False,
    )
    report.add_flags(command)
    command.set_defaults(command=_report)
    command = commands.add_parser(
        "lint",
        help="find what is wrong with a search space",
        description="Reads search spaces in the dialect of AI Platform or of Vertex AI and says"
        " what is wrong, where, and what to write instead.",
        allow_abbrev=False,
    )
    command.add_argument("files", metavar="FILE", nargs="+", help="a yaml file")
    command.set_defaults(command=_lint)
    command = commands.add_parser(
        "vertex",
        help="turn a search space into a Vertex AI tuning job",
        description="Prints the configuration for `gcloud ai hp-tuning-jobs create --config`.",
        allow_abbrev=False,
    )
    command.add_argument("file", metavar="FILE", help="a yaml file in the AI Platform dialect")
    command.add_argument("--image", required=True, help="the trainer's image, with a tag")
    command.add_argument(
        "--job-dir", required=True, metavar="GS", help="gs://BUCKET/JOB; each trial gets a part"
    )
    command.add_argument("--display-name", default="", metavar="NAME", help="default: JOB")
    command.add_argument("--spot", action="store_true", help="cheaper machines that may be taken")
    command.add_argument("--output", metavar="PATH", help="a file to write to; default: stdout")
    command.set_defaults(command=_vertex)
    command = commands.add_parser(
        "status",
        help="list the trials of a tuning job, best first",
        description="Asks gcloud for a tuning job and lists its trials, best first.",
        allow_abbrev=False,
    )
    _add_job(command, "JOB", "number or path of a job of Vertex AI, or name of one of AI Platform")
    command.set_defaults(command=_status)
    command = commands.add_parser(
        "fetch",
        help="bring the files of the best trial",
        description="Brings the files of the best finished trial and verifies them.",
        allow_abbrev=False,
    )
    _add_job(command, "JOB|GS", "a job, as for status; or a job dir, of a trial or of all")
    command.add_argument("--output", metavar="DIR", help="a new folder; default: JOB-TRIAL here")
    command.set_defaults(command=_fetch)
    return parser


def _add_job(command: argparse.ArgumentParser, name: str, help: str) -> None:
    command.add_argument("job", metavar=name, help=help)
    command.add_argument("--region", default="", help="where a job of Vertex AI runs")
    command.add_argument("--project", default="", help="default: gcloud's own")


def _run(options: argparse.Namespace) -> int:
    try:
        return run.run(loader.load(_read(options.file), options.file), options)
    except Refused as refused:
        return _refused(refused)
    except run.RunError as error:
        return _failed(error)
    except ValueError as error:
        raise BadCommand(str(error)) from None


def _show(options: argparse.Namespace) -> int:
    from tuner.commands import show
    from tuner.outputs import (
        terminal,  # with NumPy and Optuna, which other commands do not wait for
    )

    try:
        lines = show.job_dir(Path(options.job_dir), terminal.stdout())
    except (show.NothingThere, OSError, ValueError) as error:
        return _failed(error)
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:  # `| head` has seen enough; nothing is left to be flushed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return GOOD


def _reproduce(options: argparse.Namespace) -> int:
    try:
        return reproduce.reproduce(_read(options.file), options)
    except (recipe.NotARecipe, reproduce.ReproduceError) as error:
        return _failed(error)


def _report(options: argparse.Namespace) -> int:
    try:
        print(report.run(options))
    except report.ReportError as error:
        return _failed(error)
    except ValueError as error:
        raise BadCommand(str(error)) from None
    return GOOD


def _lint(options: argparse.Namespace) -> int:
    findings: list[Finding] = []
    for file in options.files:
        found = loader.lint(_read(file), file)
        print("\n".join(map(str, found)) or f"{file}: nothing to change")
        findings += found
    return FAILED if errors(findings) else GOOD


def _vertex(options: argparse.Namespace) -> int:
    try:
        spec = loader.load(_read(options.file), options.file)
        if spec.vertex:
            raise BadCommand(
                f"{shown(options.file)} is a Vertex AI configuration already. Give it to `gcloud ai"
                " hp-tuning-jobs create --config`."
            )
        job = vertex_job.hp_tuning_job(
            spec,
            image=options.image,
            job_dir=options.job_dir,
            display_name=options.display_name,
            spot=options.spot,
        )
    except Refused as refused:
        return _refused(refused)
    except ValueError as error:
        raise BadCommand(str(error)) from None
    text = vertex_job.as_yaml(job)
    if options.output:
        _write(options.output, text)
    else:
        print(text, end="")
    return GOOD


def _status(options: argparse.Namespace) -> int:
    try:
        job = jobs.describe(options.job, region=options.region, project=options.project)
    except jobs.JobError as error:
        return _failed(error)
    print(jobs.table(job))
    return GOOD


def _fetch(options: argparse.Namespace) -> int:
    try:
        job_dir = options.job
        if not job_dir.startswith("gs://"):
            job = jobs.describe(job_dir, region=options.region, project=options.project)
            job_dir = jobs.best_job_dir(job)
        trial = fetch.best(job_dir)
        name = "-".join(trial.job_dir.split("/")[-2:])
        folder = Path(options.output or name)
        files = fetch.fetch(trial.job_dir, folder)
    except ValueError as error:
        raise BadCommand(str(error)) from None
    except (jobs.JobError, fetch.FetchError) as error:
        return _failed(error)
    print(f"{folder} holds {len(files)} files of {trial.job_dir}, mean_score {trial.score:g}")
    return GOOD


def _refused(refused: Refused) -> int:
    for finding in errors(refused.findings):
        print(finding, file=sys.stderr)
    return FAILED


def _failed(error: Exception) -> int:
    print(f"error: {error}", file=sys.stderr)
    return FAILED


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:
        raise BadCommand(f"{shown(file)} must be a file that can be read: {_why(error)}") from None


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BadCommand(f"{shown(file)} must be a file to write to: {_why(error)}") from None


def _why(error: OSError | ValueError) -> str:
    return f"{getattr(error, 'strerror', None) or error}."


if __name__ == "__main__":
    raise SystemExit(main())
