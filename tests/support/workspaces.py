"""Folders to run `python -m tuner run` in, with a stand-in for the trainer."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.conftest import ROOT, cloudless_environment
from tests.support import tuner_of_fakes
from tests.support.waiting import wait_until
from tuner.__main__ import main

TEMPLATES = ROOT / "templates"
PLAIN = (
    (TEMPLATES / "smoke.yaml")
    .read_text(encoding="utf-8")
    .replace("enableTrialEarlyStopping: true", "enableTrialEarlyStopping: false")
)


class Ended(NamedTuple):
    code: int
    out: str
    err: str


class Workspace:
    """A folder with a search space, a study, and instructions to the stand-in for the trainer."""

    def __init__(self, path: Path) -> None:
        self.path, self.study = path, path / "study"
        self.write(PLAIN)
        self.behave({})

    def write(self, text: str) -> None:
        (self.path / "space.yaml").write_text(text, encoding="utf-8")

    def behave(self, book: Mapping[str, str]) -> None:
        (self.path / "fake.json").write_text(json.dumps(book), encoding="utf-8")

    def start(
        self,
        *flags: str,
        fake: str = "fake_trainer.py",
        out: Any = subprocess.PIPE,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """The tuner in a process of its own; with the real trainer where `fake` is empty."""
        command = tuner_of_fakes.command(fake) if fake else [sys.executable, "-m", "tuner"]
        return subprocess.Popen(
            [*command, "run", "space.yaml", "--job-dir", "study", *flags],
            cwd=self.path,
            env=cloudless_environment()
            | {"FAKE": str(self.path / "fake.json")}
            | dict(environment or {}),
            stdout=out,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def run(self, *flags: str) -> Ended:
        """The same in this process."""
        out, err = io.StringIO(), io.StringIO()
        words = ["run", "space.yaml", "--job-dir", "study", *flags]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(words, tuner_of_fakes.stand_in())
            except SystemExit as end:
                code = int(str(end.code or 0))
        return Ended(code, out.getvalue(), err.getvalue())

    def starts(self, folder: str) -> list[list[str]]:
        """The command lines with which a trial was started."""
        try:
            lines = (self.study / folder / "starts").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.JSONDecoder().raw_decode(line[line.index("[") :])[0] for line in lines]

    def json(self, name: str) -> Any:
        return json.loads((self.study / name).read_text(encoding="utf-8"))

    def wait_for(self, ready: Callable[[], bool]) -> None:
        wait_until(ready)
