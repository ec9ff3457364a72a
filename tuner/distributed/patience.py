"""A storage that may be away for a while: its calls wait until it answers again."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 600.0  # seconds for which a storage may be away
_PAUSE = 1.0


class StorageLost(Exception):
    """A storage that does not answer; the message is a sentence for the user."""


class Patient:
    """Has a storage's methods. Each is called again until it is answered, or time is up."""

    def __init__(
        self,
        storage: Any,
        reason: Callable[[BaseException], str],
        say: Callable[[str], None],
        hurry: Callable[[], None] = lambda: None,
        patience: float = PATIENCE,
    ) -> None:
        """
        Args:
            reason: what an error says, fit to be shown.
            hurry: called while it waits; what it raises ends the waiting.
        """
        self.impatient = storage
        self._reason, self._say, self._hurry = reason, say, hurry
        self._patience = patience

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return functools.partial(self._call, getattr(self.impatient, name))

    def _call(self, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        began = None
        while True:
            try:
                answer = method(*given, **named)
            except Exception as error:
                if not is_outage(error):
                    raise
                why, now = self._reason(error), time.monotonic()
                if began is None:
                    began = now
                    self._say(
                        f"the storage does not answer ({why}); it is asked again for"
                        f" {self._patience:g} s"
                    )
                self._hurry()
                if now - began > self._patience:
                    raise StorageLost(
                        f"The storage must answer within {self._patience:g} s, but does not: {why}."
                        " The same command goes on."
                    ) from None
                time.sleep(_PAUSE)
            else:
                if began is not None:
                    self._say("the storage answers again")
                return answer


def is_outage(error: BaseException) -> bool:
    """Whether a storage is away, and not: asked for something that it never does."""
    from sqlalchemy import exc

    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(cause, exc.IntegrityError | exc.ProgrammingError) for cause in causes):
        return False
    away = (
        exc.OperationalError,  # no server, no connection, a deadlock
        exc.InterfaceError,
        exc.InternalError,
        exc.TimeoutError,  # of the pool of connections
        exc.PendingRollbackError,
        exc.ResourceClosedError,
    )
    if any(isinstance(cause, away) for cause in causes):
        return True
    if type(error).__module__.startswith("grpc"):
        return getattr(error, "code", lambda: None)() is not None
    return isinstance(error, OSError)  # a journal on a file system that is away
