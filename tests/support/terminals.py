"""A terminal without a person: what stands on it after what was written."""

from __future__ import annotations

import os
import pty
import re
import select
import termios
from typing import TextIO


class Screen:
    """Knows the few movements that our tables make; `stream` writes to it."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (rows, columns))
        self.stream: TextIO = os.fdopen(self.slave, "w")
        self.columns, self.raw = columns, ""
        self._before = os.environ.get("COLUMNS")

    def __enter__(self) -> Screen:
        os.environ["COLUMNS"] = str(self.columns)
        return self

    def __exit__(self, *error: object) -> None:
        self.stream.close()
        os.close(self.master)
        if self._before is None:
            os.environ.pop("COLUMNS")
        else:
            os.environ["COLUMNS"] = self._before

    def lines(self) -> list[str]:
        """The lines that stand on it, empty ones left out."""
        self.stream.flush()
        while select.select([self.master], [], [], 0.05)[0]:
            self.raw += os.read(self.master, 65536).decode()
        return [line.rstrip() for line in drawn(self.raw, self.columns) if line.strip()]


def drawn(output: str, columns: int) -> list[str]:
    """What a terminal of so many columns, and rows enough, shows of an output."""
    screen, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[?0-9;]*[A-Za-z]|.", output, re.DOTALL):
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
        elif token.startswith("\x1b"):
            count = int(re.sub(r"\D", "", token) or 1)
            if token.endswith("A"):
                row = max(row - count, 0)
            elif token.endswith("K"):
                screen[row] = "" if count == 2 else screen[row][:column]
            elif token.endswith("J"):
                screen[row:] = [screen[row][:column]]
        else:
            if column == columns:
                row, column = row + 1, 0
            screen += [""] * (row + 1 - len(screen))
            screen[row] = f"{screen[row]:<{column}}"[:column] + token + screen[row][column + 1 :]
            column += 1
        screen += [""] * (row + 1 - len(screen))
    return screen
