"""Commands whose stdout or stderr is closed, broken or full: real processes under a shell."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, TIMEOUT, TINY_RUN, cloudless_environment
from tests.support.job_dirs import write_run
from trainer.contract.text import score

SPACE = ROOT / "templates" / "hyperparam.yaml"
WRONG = ROOT / "tests" / "support" / "original.yaml"
LOST = "warning: stdout could not be written: No space left on device\n"
# What a shell writes after a command; the first command of a pipe decides the exit code.
STREAMS = {
    "closed stdout": ">&-",
    "closed stderr": "2>&-",
    "all closed": "<&- >&- 2>&-",
    "broken stdout": "| true",
    "broken stderr": "2>&1 >/dev/null | true",
    "full stdout": ">/dev/full",
    "full stderr": "2>/dev/full",
    "both full": ">/dev/full 2>&1",
}


def shell(
    command: str, redirection: str, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            "bash",
            "-o",
            "pipefail",
            "-c",
            f"{shlex.quote(sys.executable)} -m {command} {redirection}",
        ],
        cwd=cwd,
        env=cloudless_environment() | environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


@pytest.mark.parametrize("redirection", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("file, code", [(SPACE, 0), (WRONG, 1)], ids=["good", "wrong"])
def test_the_exit_code_of_lint_says_what_lint_found(
    tmp_path: Path, file: Path, code: int, redirection: str
) -> None:
    done = shell(f"tuner lint {file}", redirection, tmp_path)
    assert done.returncode == code
    assert done.stderr in ("", LOST), done.stderr


@pytest.mark.parametrize("redirection", STREAMS.values(), ids=STREAMS)
def test_show_ends_with_1_only_where_a_full_disk_took_what_it_printed(
    tmp_path: Path, redirection: str
) -> None:
    write_run(tmp_path / "run", [1.0, 2.0], {})
    done = shell("tuner show run", redirection, tmp_path)
    assert done.returncode == (">/dev/full" in redirection and not redirection.startswith("2"))
    assert done.stderr in ("", LOST), done.stderr


@pytest.mark.parametrize("redirection", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize(
    "command, code",
    [
        ("trainer.task --help", 0),
        ("trainer.task --gama=1", 2),
        ("trainer.play missing", 2),
        ("tuner", 2),
        ("tuner run missing --job-dir d", 2),
    ],
)
def test_no_command_ends_in_a_traceback_for_what_it_cannot_print(
    tmp_path: Path, command: str, code: int, redirection: str
) -> None:
    done = shell(command, redirection, tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stderr and "Logging error" not in done.stderr


@pytest.mark.parametrize("redirection", [">&-", "<&- >&- 2>&-", "| true", ">/dev/full 2>&1"])
def test_a_run_goes_on_whatever_becomes_of_its_streams(tmp_path: Path, redirection: str) -> None:
    flags = shlex.join([*TINY_RUN, "--seeds=1", "--total_steps=512", "--job-dir=job"])
    done = shell(f"trainer.task {flags}", redirection, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "job" / "manifest.json").exists()


def test_a_file_never_takes_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    program = (
        "import os; from trainer.contract import streams; streams.protect()\n"
        "file = open('kept', 'w'); print('news'); os.write(1, b'below Python')\n"
        "assert file.fileno() > 2, file.fileno()\n"
    )
    (tmp_path / "program.py").write_text(program)
    assert shell("program", ">&- 2>&-", tmp_path, PYTHONPATH=f"{ROOT}:{tmp_path}").returncode == 0
    assert (tmp_path / "kept").read_text() == ""


def test_a_reader_that_is_slow_loses_nothing(tmp_path: Path) -> None:
    """Also where it made the pipe non-blocking, as Node.js does."""
    program = (
        "import os, sys; os.set_blocking(1, False)\n"
        "from trainer.contract import streams; streams.protect()\n"
        "for number in range(40_000): print(number)\n"
    )
    (tmp_path / "program.py").write_text(program)
    done = shell("program", "| (sleep 0.3; cat)", tmp_path, PYTHONPATH=f"{ROOT}:{tmp_path}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(number) for number in range(40_000)]


def test_output_to_a_pipe_is_as_ever(tmp_path: Path) -> None:
    done = shell(f"tuner lint {SPACE}", "", tmp_path, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{SPACE}: nothing to change\n", "")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "value, others, text",
    [
        (500.0, (), "500.0"),
        (-0.04, (500.0,), "0.0"),
        (-0.0, (), "0.0000"),
        (0.97316, (), "0.9732"),
        (0.5, (1.0,), "0.5000"),
        (-3.14159, (), "-3.14"),
        (1.7e308, (), "1.7e+308"),
    ],
)
def test_a_score_has_the_decimals_that_suit_its_size(
    value: float, others: tuple[float, ...], text: str
) -> None:
    assert score(value, *others) == text
