"""Output of a thread goes to the log of the run that it works for."""

from __future__ import annotations

import io
import logging
import sys
import threading
from pathlib import Path

from trainer.batch import log_routing
from trainer.run import upload

log = logging.getLogger("trainer")


def test_threads_that_write_at_once_write_to_their_own_logs() -> None:
    files, together = [io.StringIO() for _ in range(4)], threading.Barrier(4)

    def work(file: io.StringIO, name: str) -> None:
        with log_routing.output_to(file):
            for count in range(50):
                together.wait()
                log.warning("%s logs %d", name, count)
                print(f"{name} prints {count}")
                print(f"{name} complains {count}", file=sys.stderr)

    with log_routing.routed(io.StringIO()):
        threads = [threading.Thread(target=work, args=(f, f"<{n}>")) for n, f in enumerate(files)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number, file in enumerate(files):
        lines = file.getvalue().splitlines()
        assert len(lines) == 150 and all(f"<{number}>" in line for line in lines)
        assert lines[0] == f"WARNING: <{number}> logs 0"


def test_output_for_no_run_goes_to_the_fallback_and_all_is_as_before_afterwards() -> None:
    fallback, own = io.StringIO(), io.StringIO()
    handlers, stdout, stderr = log.handlers, sys.stdout, sys.stderr
    with log_routing.routed(fallback):
        print("before")
        with log_routing.output_to(own):
            print("meanwhile")
        print("after")
    assert (fallback.getvalue(), own.getvalue()) == ("before\nafter\n", "meanwhile\n")
    assert (log.handlers, sys.stdout, sys.stderr) == (handlers, stdout, stderr)


def test_a_runs_uploads_log_to_its_log(tmp_path: Path) -> None:
    own = io.StringIO()
    with log_routing.routed(io.StringIO()):
        with log_routing.output_to(own):
            thread = upload._thread(lambda: log.warning("the bucket is slow"), "uploads")
        thread.join()
    assert own.getvalue() == "WARNING: the bucket is slow\n"
