"""`python -m trainer.task`: trains, scores, saves and records a policy, as its flags say."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence

from trainer.contract import streams
from trainer.contract.command_line import parse
from trainer.contract.errors import FAILED, SUCCESS, Error
from trainer.contract.settings import Command
from trainer.process import signals, tensorflow_env
from trainer.process.console import log_to_console, quiet_standard_error
from trainer.process.signals import Stopped
from trainer.run.errors import as_error
from trainer.run.lifecycle import Run
from trainer.run.setup import prepare

log = logging.getLogger("trainer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code: 128 + n if signal n ended it."""
    streams.protect()
    arguments = sys.argv[1:] if arguments is None else arguments
    command = parse(arguments)
    log_to_console()
    try:
        with signals.handled():
            carry_out(command, arguments, os.environ)
    except (Error, OSError) as error:
        failure = as_error(error)
        log.error("%s", failure)
        return failure.exit_code
    except Stopped as stopped:
        log.warning("%s ended the run.", stopped)
        return stopped.exit_code
    return SUCCESS


def carry_out(command: Command, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Carries out the run, unless it is already finished in the job dir."""
    tensorflow_env.prepare()
    with Run(prepare(command, arguments, environ)) as run:
        if run.finished:
            return
        if not run.prepared.environment.pixels:
            tensorflow_env.prefer_one_core(command.neurons)
        with quiet_standard_error(), tensorflow_env.importing():
            import tensorflow  # noqa: F401
        run.build()
        run.carry_out()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    if code >= FAILED:
        os._exit(code)  # does not wait for an upload that hangs
    if any(not thread.daemon for thread in threading.enumerate()[1:]):
        atexit._run_exitfuncs()  # and leave without waiting for an environment's threads
        sys.stdout.flush()
        os._exit(code)
