"""The command `python -m tuner`: finds the module of a command, runs it, returns its exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from trainer.contract import streams
from trainer.contract.command_line import Parser
from tuner.commands import errors
from tuner.execution.trial_command import TRAINER

COMMANDS = {  # each is a module of tuner.commands
    "run": "search on this machine, then test the best trial on fresh seeds",
    "show": "the trials and the best one's curve, in the terminal",
    "reproduce": "run a study's winner again, and compare the two",
    "report": "make one page of a run, a study or a tuning job",
    "lint": "find errors in a search space",
    "vertex": "turn a search space into a Vertex AI tuning job",
    "status": "list the trials of a tuning job, best first",
    "fetch": "download the files of the best trial",
}


def main(arguments: Sequence[str] | None = None, trainer: Sequence[str] = TRAINER) -> int:
    """Runs one command and returns its exit code.

    Args:
        trainer: the command that starts a run of the trainer.
    """
    streams.protect()
    words = _joined(sys.argv[1:] if arguments is None else arguments)
    given = argparse.Namespace(environ=os.environ, trainer=trainer)  # read here, handed down
    options = parser(words[:1]).parse_args(words, given)
    return errors.exit_code(lambda: options.command(options))


def parser(names: Sequence[str]) -> argparse.ArgumentParser:
    """The command line, with the flags of the commands `names`: the others are not imported."""
    parser = Parser(
        prog="python -m tuner",
        description="Searches for good hyperparameters of the trainer.",
        epilog="Exit codes: 0 success; 1 a file with errors, or a job or study that failed; 2 a bad"
        " command line; 130, 143 a signal.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, help in COMMANDS.items():
        command = commands.add_parser(name, help=help)
        if name in names:
            module = importlib.import_module(f"tuner.commands.{name}")
            module.add_flags(command)
            command.set_defaults(command=module.run)
    return parser


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--trainer-args WORDS` as one word: argparse would take WORDS with -- for flags."""
    words: list[str] = []
    for word in arguments:
        if words and words[-1] == "--trainer-args":
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


if __name__ == "__main__":
    raise SystemExit(main())
