"""`python -m trainer.task`: flags in; a trained, scored, saved and recorded policy out."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Sequence

from trainer.contract import streams
from trainer.contract.command_line import parse
from trainer.contract.settings import Command
from trainer.process import signals, tensorflow_env
from trainer.process.console import log_to_console, quiet_standard_error
from trainer.process.signals import Stopped
from trainer.run.faults import FAILED, FAULTS, SUCCESS, told
from trainer.run.lifecycle import Session

log = logging.getLogger("trainer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program and returns its exit code: 128 + n where signal n ended it."""
    streams.protect()
    arguments = sys.argv[1:] if arguments is None else arguments
    command = parse(arguments)
    log_to_console()
    try:
        with signals.handled():
            return run(command, arguments)
    except FAULTS as fault:
        sentence, exit_code = told(fault)
        log.error("%s", sentence)
        return exit_code
    except Stopped as stopped:
        log.warning("%s ended the run.", stopped)
        return stopped.exit_code


def run(command: Command, arguments: Sequence[str]) -> int:
    """Carries the run out, unless it is finished; a signal leaves a checkpoint."""
    tensorflow_env.prepare()
    with contextlib.closing(Session(command, arguments, os.environ)) as session:
        if session.finished:
            return SUCCESS
        if not session.environment.pixels:
            tensorflow_env.prefer_one_core(command.neurons)
        with quiet_standard_error(), tensorflow_env.importing():
            import tensorflow  # noqa: F401
        try:
            session.build()
            try:
                session.carry_out()
            except Stopped as stopped:
                session.end_early(stopped)
                raise
        except OSError:  # a full disk, say
            session.deliver_what_there_is()
            raise
    return SUCCESS


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    if code >= FAILED:
        os._exit(code)  # an upload that hangs must not hold up the end
