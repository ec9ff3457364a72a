"""SIGTERM and SIGINT: an orderly end while there is time, and an end at once when asked twice."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE = 9.0  # seconds; docker and the training services kill after ten


class Stopped(BaseException):
    """Somebody asked the run to end. Not an Exception, so that no library mistakes it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return signal.Signals(self.number).name

    @property
    def exit_code(self) -> int:
        return 128 + self.number


_held = 0  # how many `held` blocks the main thread is in
_first: int | None = None  # the signal that came first
_raised = False  # whether it has been


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Lets the block end before a signal is raised as Stopped: for what must not be half done.

    In other threads than the main one nothing is raised, so there is nothing to hold.
    """
    global _held
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _held += 1
    try:
        yield
    finally:
        _held -= 1
    _raise_if_due()


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Raises the first signal in the main thread as Stopped; on the second the process ends.

    It also ends `GRACE` seconds after the first. Both are seen to by a thread: the main one may
    be inside a compiled program, where Python hears no signal.
    """
    global _first, _raised
    _first, _raised = None, False
    before = {number: signal.signal(number, _on_signal) for number in SIGNALS}
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    wakeup = signal.set_wakeup_fd(theirs.fileno())
    threading.Thread(target=_watch, args=(ours,), name="signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        theirs.close()  # which ends the thread


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _first
    if _first is not None:
        os._exit(128 + _first)  # as the thread would, which may not have come to it
    _first = number
    _raise_if_due()


def _raise_if_due() -> None:
    global _raised
    if _first is not None and not _raised and not _held:
        _raised = True
        raise Stopped(_first)


def _watch(wakeups: socket.socket) -> None:
    """Ends the process on the second signal, or a while after the first."""
    # Signals go to the main thread: one that came here would not wake it from a sleep.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    first: int | None = None
    deadline = math.inf
    with wakeups:
        while True:
            if first is not None:
                wakeups.settimeout(max(deadline - time.monotonic(), 1e-3))
            try:
                numbers = wakeups.recv(1)
            except TimeoutError:
                numbers = bytes([first or 0])
            if not numbers:
                return
            if numbers[0] not in SIGNALS:
                continue  # whoever handles others is told of them all the same
            if first is not None:
                os._exit(128 + first)
            first, deadline = numbers[0], time.monotonic() + GRACE
