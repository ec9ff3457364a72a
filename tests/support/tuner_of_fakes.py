"""`python -m tuner` whose trials are a stand-in's: `python FILE STAND-IN COMMAND...`."""

from __future__ import annotations

import sys
from pathlib import Path

from tuner.__main__ import main

HERE = Path(__file__).resolve()


def stand_in(name: str = "fake_trainer.py") -> tuple[str, ...]:
    """The command of a stand-in for the trainer, a file beside this one."""
    return (sys.executable, str(HERE.with_name(name)))


def command(name: str = "fake_trainer.py") -> list[str]:
    """What starts this program, for subprocesses."""
    return [sys.executable, str(HERE), name]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[2:], stand_in(sys.argv[1])))
