"""Shows a running study: permanent lines and, on a terminal, a live table below them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TextIO

from rich.live import Live

from trainer.contract.text import wrapped
from tuner.outputs import terminal

_EVERY = 0.5  # seconds between two pictures of the table


class Display:
    """Writes to `stream`, by default stdout."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = terminal.console(stream)
        self._live: Live | None = None
        self._drawn_at = -math.inf

    def line(self, text: str = "") -> None:
        """Prints one or more permanent lines."""
        terminal.fit(self._console)
        terminal.write(self._console, text)

    @property
    def due(self) -> bool:
        """Whether a table would be drawn: on a terminal, and not too often."""
        moves = self._console.is_terminal and not self._console.is_dumb_terminal
        return moves and time.monotonic() - self._drawn_at >= _EVERY

    def table(self, lines: Sequence[str]) -> None:
        """Redraws the table, if it is due."""
        if not self.due:
            return
        terminal.fit(self._console)
        text = "\n".join(wrapped(line, self._console.width) for line in lines)
        if self._live is None:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
            self._console.show_cursor(True)  # a tuner that is killed leaves it as it was
        self._live.update(text, refresh=True)
        self._drawn_at = time.monotonic()

    def clear(self) -> None:
        """Removes the table."""
        if self._live is not None:
            self._live.stop()
            self._live = None
            self._drawn_at = -math.inf
