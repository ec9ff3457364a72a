"""What a study shows while it runs: lines that stay, and on a terminal a table below that moves."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from typing import TextIO

_EVERY = 0.5  # seconds between two pictures of the table


class Display:
    """Writes to `stream`, by default stdout."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._live = self._stream.isatty()
        self._drawn = 0  # lines of the table that stand below
        self._at = 0.0

    def line(self, text: str = "") -> None:
        """One or more lines that stay."""
        self.clear()
        self._stream.write(text + "\n")
        self._stream.flush()

    @property
    def due(self) -> bool:
        """Whether a table would be drawn: on a terminal, and not too often."""
        return self._live and time.monotonic() - self._at >= _EVERY

    def table(self, lines: Sequence[str]) -> None:
        """Draws the table anew, if it is due."""
        if not self.due:
            return
        self.clear()
        width = shutil.get_terminal_size().columns - 1
        self._stream.write("".join(f"{line[:width]}\n" for line in lines))
        self._stream.flush()
        self._drawn, self._at = len(lines), time.monotonic()

    def clear(self) -> None:
        """Takes the table away."""
        if self._drawn:
            self._stream.write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn, self._at = 0, 0.0
