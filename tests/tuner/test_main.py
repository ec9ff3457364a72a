"""The tuner's command line: its output and exit codes."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT, SUPPORT
from tuner.__main__ import main
from tuner.execution.trial_command import TRAINER

TEMPLATE = str(ROOT / "templates" / "hyperparam.yaml")
ORIGINAL = str(SUPPORT / "original.yaml")
FOR_VERTEX = ("--image", "gcr.io/p/a2c:1", "--job-dir", "gs://bucket/job")
SLOW = {"tensorflow", "numpy", "optuna", "keras", "google", "rich", "hypertune"}


class Ended(NamedTuple):
    code: int
    out: str
    err: str


def tuner(*arguments: str, trainer: Sequence[str] = TRAINER) -> Ended:
    """`python -m tuner` with these arguments, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments, trainer)
        except SystemExit as end:
            code = int(str(end.code or 0))
    return Ended(code, out.getvalue(), err.getvalue())


def test_a_good_file_ends_with_0() -> None:
    assert tuner("lint", TEMPLATE) == (0, f"{TEMPLATE}: nothing to change\n", "")


def test_errors_end_with_1_and_one_line_each() -> None:
    ended = tuner("lint", ORIGINAL)
    assert (ended.code, ended.err) == (1, "")
    assert len(ended.out.splitlines()) == 8
    assert all(line.startswith(f"{ORIGINAL}:") for line in ended.out.splitlines())


def test_the_original_file_has_at_least_five_warnings() -> None:
    assert tuner("lint", ORIGINAL).out.count(": warning: ") >= 5


def test_warnings_alone_end_with_0(tmp_path: Path) -> None:
    text = Path(TEMPLATE).read_text(encoding="utf-8").replace("maxTrials: 40", "maxTrials: 8")
    file = tmp_path / "f.yaml"
    file.write_text(text, encoding="utf-8")
    ended = tuner("lint", str(file))
    assert (ended.code, ended.out.count(": warning: "), ended.out.count(": error: ")) == (0, 2, 0)


def test_several_files_are_all_checked() -> None:
    ended = tuner("lint", TEMPLATE, ORIGINAL, TEMPLATE)
    assert ended.code == 1
    assert ended.out.count("nothing to change") == 2


def test_a_file_for_vertex_is_printed() -> None:
    ended = tuner("vertex", TEMPLATE, *FOR_VERTEX, "--display-name", "a study", "--spot")
    assert (ended.code, ended.err) == (0, "")
    job = yaml.safe_load(ended.out)
    assert job["displayName"] == "a study"
    assert job["trialJobSpec"]["scheduling"] == {"strategy": "SPOT"}
    pool = job["trialJobSpec"]["workerPoolSpecs"][0]
    assert pool["containerSpec"]["imageUri"] == "gcr.io/p/a2c:1"
    assert job["trialJobSpec"]["baseOutputDirectory"] == {"outputUriPrefix": "gs://bucket/job"}


def test_the_output_for_vertex_passes_lint(tmp_path: Path) -> None:
    file = tmp_path / "vertex.yaml"
    assert tuner("vertex", TEMPLATE, *FOR_VERTEX, "--output", str(file)) == (0, "", "")
    assert tuner("lint", str(file)) == (0, f"{file}: nothing to change\n", "")
    assert tuner("vertex", TEMPLATE, *FOR_VERTEX).out == file.read_text(encoding="utf-8")


def test_a_file_with_errors_is_not_translated() -> None:
    ended = tuner("vertex", ORIGINAL, *FOR_VERTEX)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count(": error: ") == len(ended.err.splitlines()) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((), "still missing: COMMAND."),
        (
            ("lnit",),
            "COMMAND: 'lnit' is not one of run, show, reproduce, report, lint, vertex, status,"
            " fetch.",
        ),
        (("lint",), "still missing: FILE."),
        (
            ("lint", "--quiet", "f"),
            "--quiet is not a flag of this program. --help lists the flags.",
        ),
        (("vertex", "f"), "still missing: --image, --job-dir."),
        (
            ("lint", "no/such.yaml"),
            "no/such.yaml could not be read: No such file or directory.",
        ),
        (("lint", "."), ". could not be read: it is not a regular file."),
        (("lint", "a\0b"), "'a\\x00b' could not be read: embedded null byte."),
        (
            ("vertex", TEMPLATE, "--image", "a2c", "--job-dir", "gs://bucket/job"),
            "--image a2c is not a name with a tag or a digest. Give one such as"
            " us-docker.pkg.dev/PROJECT/REPOSITORY/a2c:1.0.",
        ),
        (
            ("vertex", TEMPLATE, "--image", "a2c:1", "--job-dir", "bucket/job"),
            "--job-dir bucket/job is not a folder in a bucket. Give one such as gs://BUCKET/JOB.",
        ),
        (
            ("vertex", TEMPLATE, *FOR_VERTEX, "--output", "no/such/folder"),
            "no/such/folder could not be written: No such file or directory.",
        ),
    ],
)
def test_a_bad_command_ends_with_2_and_one_sentence(
    arguments: tuple[str, ...], message: str
) -> None:
    assert tuner(*arguments) == (2, "", f"error: {message}\n")


def test_a_vertex_file_needs_no_translation(tmp_path: Path) -> None:
    file = tmp_path / "vertex.yaml"
    tuner("vertex", TEMPLATE, *FOR_VERTEX, "--output", str(file))
    ended = tuner("vertex", str(file), *FOR_VERTEX)
    assert ended.code == 2
    assert "is a Vertex AI configuration already" in ended.err


@pytest.mark.parametrize("arguments", [("--help",), ("lint", "--help"), ("vertex", "--help")])
def test_help_is_printed_to_stdout(arguments: tuple[str, ...]) -> None:
    ended = tuner(*arguments)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("usage: python -m tuner")


def test_characters_that_a_terminal_lacks_are_escaped(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text('trainingInput: {"\\ud800\\e[31m": 1}', encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tuner", "lint", str(file)],
        cwd=ROOT,
        env={"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert r"'\ud800\x1b[31m' is not a field of trainingInput." in done.stdout


@pytest.mark.parametrize("arguments", [("lint", ORIGINAL), ("vertex", TEMPLATE, *FOR_VERTEX)])
def test_nothing_slow_is_imported(arguments: tuple[str, ...]) -> None:
    program = (
        "import sys, tuner.__main__\n"
        "tuner.__main__.main(sys.argv[1:])\n"
        "print('\\n' + ' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    modules = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "tuner" in modules
    assert not modules & SLOW


@settings(deadline=None)
@given(
    st.lists(
        st.text(max_size=10)
        | st.sampled_from(["lint", "vertex", TEMPLATE, ORIGINAL, *FOR_VERTEX, "--spot", "--help"]),
        max_size=8,
    )
)
def test_any_command_ends_with_0_1_or_2(arguments: list[str]) -> None:
    ended = tuner(*(word for word in arguments if word != "--output"))
    assert ended.code in (0, 1, 2)
    assert ended.code != 2 or ended.err.startswith("error: ")


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_file_ends_with_0_or_1(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(data)
    assert tuner("lint", str(file)).code in (0, 1)
    assert tuner("vertex", str(file), *FOR_VERTEX).code in (0, 1)
