"""`python -m trainer.batch`: many runs side by side in one process; JSON lines in, JSON lines out.

Each line of the input asks for a run: `{"id": 1, "arguments": ["--seed=7", "--job_dir=runs/1"],
"environ": {...}, "log": "runs/1.log"}`. `arguments` are those of `trainer.task`, `environ` holds
environment variables of a tuning service, and the run's output is appended to `log`. The answer is
`{"id": 1, "exit_code": 0, ...}`, with the exit codes of `trainer.task`. `{"id": 1, "stop": true}`
ends a run with a checkpoint. Each run writes the files that it would write alone. The process ends
after the end of its input and the last run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from typing import IO

from trainer.batch import log_routing
from trainer.batch.batch_run import BatchRun, Message
from trainer.batch.scheduler import Scheduler
from trainer.contract import streams
from trainer.contract.command_line import Parser
from trainer.contract.errors import BAD_COMMAND, FAILED, SUCCESS
from trainer.contract.flags import whole_number
from trainer.process import signals, tensorflow_env
from trainer.process.console import log_to_console, quiet_standard_error
from trainer.process.signals import Stopped

log = logging.getLogger("trainer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until the input ends. Returns 128 + n if signal n ended it, 1 after a bug."""
    streams.protect()
    parser = Parser(
        prog="python -m trainer.batch", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--end-with-input",
        action="store_true",
        help="end the runs with checkpoints when the input ends, because its writer has gone",
    )
    parser.add_argument(
        "--cores",
        type=_cores,
        default=os.cpu_count() or 1,
        metavar="N",
        help="number of cores to use; default: all",
    )
    options = parser.parse_args(arguments)
    tensorflow_env.prepare()
    tensorflow_env.prefer_one_core_a_call(options.cores)
    log_to_console(sys.stderr)  # stdout is for answers
    with quiet_standard_error(), tensorflow_env.importing():
        from trainer.batch.shared_programs import SharedPrograms
        from trainer.outputs import models  # noqa: F401, imported here because it is slow
    answers, one_at_a_time = sys.stdout, threading.Lock()

    def answer(answer: Message) -> None:
        # If the reader of the answers has gone, the input ends too.
        with one_at_a_time, contextlib.suppress(BrokenPipeError):
            print(json.dumps(answer), file=answers, flush=True)

    scheduler = Scheduler(options.cores, SharedPrograms(), answer)
    environ = dict(os.environ)

    def listen() -> None:
        try:
            _read(sys.stdin, scheduler, environ, ends=options.end_with_input)
        except Exception:  # a bug: without its input the process would never end
            log.error("%s", traceback.format_exc())
            os._exit(FAILED)

    # A descriptor of its own, because output of libraries to the other one is held back at times.
    with (
        open(os.dup(2), "w", buffering=1, encoding="utf-8") as fallback,
        log_routing.routed(fallback),
        signals.handled(),
    ):
        try:
            try:
                scheduler.start()
                threading.Thread(target=listen, name="requests", daemon=True).start()
                scheduler.wait()
            except Stopped as stopped:
                scheduler.end_early(stopped)
                scheduler.wait()
                return stopped.exit_code
        except Exception:  # a bug; if raised, it would wait for the threads
            log.error("%s", traceback.format_exc())
            return FAILED
    return SUCCESS


def _cores(text: str) -> int:
    with contextlib.suppress(ValueError, OverflowError):
        if (cores := whole_number(text)) >= 1:
            return cores
    raise argparse.ArgumentTypeError(f"`--cores` {text} is not a number of cores. Give 1 or more.")


def _read(lines: IO[str], scheduler: Scheduler, environ: Mapping[str, str], *, ends: bool) -> None:
    """Carries out the requests; with `ends`, the runs end with the input."""
    for line in lines:
        try:
            request = json.loads(line)
        except ValueError:
            request = None
        if isinstance(request, dict):
            _take(request, scheduler, environ)
        elif line.strip():
            log.error("Not a JSON object: %s", line.strip()[:200])
            scheduler.answer({"id": None, "exit_code": BAD_COMMAND})
    if ends:
        scheduler.end_early(Stopped(signal.SIGTERM))
    scheduler.close()


def _take(request: Message, scheduler: Scheduler, environ: Mapping[str, str]) -> None:
    if request.get("stop"):
        scheduler.stop(request.get("id"), Stopped(signal.SIGTERM))
        return
    try:
        run = BatchRun(request, environ)
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        log.error("Not a request for a run, which needs an id, arguments and a log that can be"
                  " written: %r in %s", error, json.dumps(request)[:200])  # fmt: skip
        scheduler.answer({"id": request.get("id"), "exit_code": BAD_COMMAND})
        return
    run.begin()
    scheduler.add(run)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # does not wait for an upload that hangs, or a second for TensorFlow
