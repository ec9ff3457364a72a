"""SIGTERM and SIGINT: the first ends a run with a checkpoint, the second at once."""

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
    """A signal asks the run to end. Not an Exception, so that no library catches it as one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return signal.Signals(self.number).name

    @property
    def exit_code(self) -> int:
        return 128 + self.number


_held = 0  # number of `held` blocks that the main thread is in
_first: int | None = None  # the first signal that came
_raised = False  # whether Stopped was raised for it


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Postpones Stopped to the end of the block.

    Stopped is raised in the main thread only; in other threads this does nothing.
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
    """Raises Stopped in the main thread on the first signal; ends the process on the second.

    The process also ends `GRACE` seconds after the first. A thread does that, because the main
    thread may be inside a compiled program, where Python handles no signals.
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


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raises Stopped on the first Ctrl-C, and KeyboardInterrupt at once on the second.

    For a call within a user's program: it ends no process, and the handler from before comes
    back. Signals arrive in the main thread only; in other threads this does nothing.
    """
    global _first, _raised
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _first, _raised = None, False

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        global _first
        if _first is not None:
            raise KeyboardInterrupt
        _first = number
        _raise_if_due()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _first, _raised = None, False


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _first
    if _first is not None:
        os._exit(128 + _first)  # as the thread would, which may be late
    _first = number
    _raise_if_due()


def _raise_if_due() -> None:
    global _raised
    if _first is not None and not _raised and not _held:
        _raised = True
        raise Stopped(_first)


def _watch(wakeups: socket.socket) -> None:
    """Ends the process on the second signal, or `GRACE` seconds after the first."""
    # Signals must reach the main thread: received here, they would not wake it from a sleep.
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
                continue  # another signal, for another handler
            if first is not None:
                os._exit(128 + first)
            first, deadline = numbers[0], time.monotonic() + GRACE
