"""`python -m trainer.batch`: many runs side by side in one process; JSON lines in, results out.

A line is a run: `{"id": 1, "arguments": ["--seed=7", "--job_dir=runs/1"], "environ": {...},
"log": "runs/1.log"}`, its command as `trainer.task` takes it, what a tuning service would say in
environment variables, and where its words go. Answers: `{"id": 1, "exit_code": 0, ...}`, with the
exit codes of `trainer.task`. `{"id": 1, "stop": true}` ends a run, with a checkpoint. Each run
leaves what it would have left alone. The process ends with its input, after the last run.
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
from collections.abc import Sequence
from typing import IO

from trainer.batch import log_routing
from trainer.batch.batch_run import Member, Order
from trainer.batch.scheduler import Lanes
from trainer.contract import streams
from trainer.contract.command_line import Parser
from trainer.contract.flags import whole_number
from trainer.process import signals, tensorflow_env
from trainer.process.console import log_to_console, quiet_standard_error
from trainer.process.signals import Stopped
from trainer.run.faults import BAD_COMMAND, FAILED, SUCCESS

log = logging.getLogger("trainer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until the input ends; 128 + n where signal n ended it, 1 after a fault of ours."""
    streams.protect()
    parser = Parser(
        prog="python -m trainer.batch", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--end-with-input",
        action="store_true",
        help="end the runs too, with checkpoints, when the input ends: its writer is gone",
    )
    parser.add_argument(
        "--cores",
        type=_cores,
        default=os.cpu_count() or 1,
        metavar="N",
        help="how many to keep busy; default: all",
    )
    options = parser.parse_args(arguments)
    tensorflow_env.prepare()
    tensorflow_env.prefer_one_core_a_call(options.cores)
    log_to_console(sys.stderr)  # stdout is for answers
    with quiet_standard_error(), tensorflow_env.importing():
        from trainer.batch import packing
        from trainer.outputs import models  # noqa: F401, all that is slow to import
    answers, one_at_a_time = sys.stdout, threading.Lock()

    def answer(answer: Order) -> None:
        # Where nobody hears it any more, the end of the input says so.
        with one_at_a_time, contextlib.suppress(BrokenPipeError):
            print(json.dumps(answer), file=answers, flush=True)

    lanes = Lanes(options.cores, packing.Stack(), answer)

    def listen() -> None:
        try:
            _read(sys.stdin, lanes, ends=options.end_with_input)
        except Exception:  # a fault of ours: who does not hear, never ends
            log.error("%s", traceback.format_exc())
            os._exit(FAILED)

    # A descriptor of its own: what libraries write to the other is held back at times.
    with (
        open(os.dup(2), "w", buffering=1, encoding="utf-8") as nobodys,
        log_routing.heard(nobodys),
        signals.handled(),
    ):
        try:
            try:
                lanes.start()
                threading.Thread(target=listen, name="orders", daemon=True).start()
                lanes.wait()
            except Stopped as stopped:
                lanes.end_early(stopped)
                lanes.wait()
                return stopped.exit_code
        except Exception:  # a fault of ours; raised, it would wait for threads at their work
            log.error("%s", traceback.format_exc())
            return FAILED
    return SUCCESS


def _cores(text: str) -> int:
    with contextlib.suppress(ValueError, OverflowError):
        if (cores := whole_number(text)) >= 1:
            return cores
    raise argparse.ArgumentTypeError(f"`--cores` must be 1 or more, but is {text}.")


def _read(lines: IO[str], lanes: Lanes, *, ends: bool) -> None:
    """Carries out what stands on each line; `ends`: the end of the input is that of the runs."""
    for line in lines:
        try:
            order = json.loads(line)
        except ValueError:
            order = None
        if isinstance(order, dict):
            _take(order, lanes)
        elif line.strip():
            log.error("A line must be a JSON object, but is %s", line.strip()[:200])
            lanes.answer({"id": None, "exit_code": BAD_COMMAND})
    if ends:
        lanes.end_early(Stopped(signal.SIGTERM))
    lanes.close()


def _take(order: Order, lanes: Lanes) -> None:
    if order.get("stop"):
        lanes.stop(order.get("id"), Stopped(signal.SIGTERM))
        return
    try:
        member = Member(order)
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        log.error("An order must have an id, arguments and a log that can be written,"
                  " but: %r in %s", error, json.dumps(order)[:200])  # fmt: skip
        lanes.answer({"id": order.get("id"), "exit_code": BAD_COMMAND})
        return
    member.attempt(member.begin)
    lanes.add(member)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # at once: an upload may hang, and TensorFlow takes a second to leave
