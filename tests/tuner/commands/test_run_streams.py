"""`python -m tuner run` on terminals, and with streams that are closed or full."""

from __future__ import annotations

import json
import shlex
import subprocess

import pytest

from tests.conftest import cloudless_environment
from tests.support import tuner_of_fakes
from tests.support.terminals import Screen
from tests.support.workspaces import Workspace


@pytest.mark.parametrize(
    "redirection", [">&-", "2>&-", "<&- >&- 2>&-", "| true", ">/dev/full", ">/dev/full 2>&1"]
)
def test_a_study_continues_with_closed_or_full_streams(
    workspace: Workspace, redirection: str
) -> None:
    words = ["run", "space.yaml", "--job-dir", "study", "--max-trials=1", "--candidates=1"]
    command = shlex.join([*tuner_of_fakes.command(), *words])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} {redirection}"],
        env=cloudless_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr and "Logging error" not in done.stderr
    assert workspace.json("best.json")["trial"] == 1
    whole = (workspace.study / "study.journal").read_text()
    assert all(json.loads(line) for line in whole.splitlines()), "nothing else is in it"


@pytest.mark.parametrize("columns", [20, 80])
@pytest.mark.parametrize(
    "environment",
    [{}, {"TERM": "dumb"}, {"NO_COLOR": "1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}],
    ids=str,
)
def test_on_a_terminal_no_number_is_broken_and_the_table_goes_away(
    workspace: Workspace, columns: int, environment: dict[str, str]
) -> None:
    workspace.behave({"1": "wait 1.2"})
    with Screen(columns=columns, rows=24) as screen:
        process = workspace.start(
            *("--max-trials", "1", "--candidates", "1"), out=screen.slave,
            environment={"TERM": "xterm"} | environment,
        )  # fmt: skip
        lines: list[str] = []
        while process.poll() is None:
            lines = screen.lines()
        lines = screen.lines()
        _, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    text = " ".join(" ".join(lines).split())
    assert "trial 1: 89.5 [89.0, 90.0] after" in text
    assert "best.json has the flags to paste." in text
    assert "left" not in text, "the table is gone"
    drew = "\x1b[" in screen.raw
    assert drew == (environment.get("TERM") != "dumb")
    for line in lines:
        assert len(line) <= columns
