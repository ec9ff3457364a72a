"""`python -m tuner.execution.attached WORDS...`: a command that ends when its starter dies.

The starter holds the other end of standard input. When that closes, the command gets SIGTERM, and
SIGKILL if it takes too long.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from tuner.execution.process_lock import GRACE


def main(words: list[str]) -> int:
    """Runs the command; returns its exit code, or 128 + n if signal n ended it."""
    # Signals for the group reach the command too; it decides when both end.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: None)
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, close_fds=False)

    def watch() -> None:
        while os.read(0, 1024):
            pass
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()

    threading.Thread(target=watch, daemon=True).start()
    code = process.wait()
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    ended = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(ended)  # not sys.exit: the thread may still be reading
