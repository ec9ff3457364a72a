"""The command `report` writes a page, or prints one error message."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from pathlib import Path

import pytest

from tests.conftest import TIMEOUT
from tests.support.full_disk import files_end_after
from tests.support.job_dirs import write_run
from tests.support.storage_server import FaultyStorage
from tuner.__main__ import main


def run(*words: str) -> tuple[int, str]:
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        return main(["report", *words]), err.getvalue()


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Trials of a service: two ended, one is unfinished, one is damaged, one has not started."""
    for trial, rate in ((1, 0.01), (2, 0.02)):
        write_run(tmp_path / "job" / str(trial), [100.0 * trial, 100.0 * trial + 10],
                  {"learning_rate": rate})  # fmt: skip
    write_run(tmp_path / "job" / "3", [1.0], {"learning_rate": 0.03}, finished=False)
    write_run(tmp_path / "job" / "4", [1.0], {"learning_rate": 0.04})
    (tmp_path / "job" / "4" / "manifest.json").write_bytes(b'{"scores": {"sco')
    (tmp_path / "job" / "5").mkdir()
    return tmp_path / "job"


def test_nothing_to_report_is_one_sentence(tmp_path: Path) -> None:
    code, message = run(str(tmp_path))
    assert code == 1
    assert message == (
        f"error: {tmp_path} holds no file of a run, a study or trials. Give the job dir that the"
        " trainer or the tuner wrote to.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words, message",
    [
        (["no/such"], "no/such could not be read: No such file or directory."),
        (
            ["gs:/bucket/job"],
            "A gs:// address must start with gs://, but got 'gs:/bucket/job'.",
        ),
    ],
)
def test_a_bad_command_ends_with_2(words: list[str], message: str) -> None:
    assert run(*words) == (2, f"error: {message}\n")


def test_the_page_is_written_to_the_job_dir_or_to_output(job: Path, tmp_path: Path) -> None:
    assert run(str(job)) == (0, "")
    assert run(str(job), "--output", str(tmp_path / "p.html")) == (0, "")
    assert (tmp_path / "p.html").read_bytes() == (job / "report.html").read_bytes()
    code, message = run(str(job), "--output", str(tmp_path / "no" / "p.html"))
    assert code == 2 and "could not be written" in message


def test_a_disk_that_is_full_half_way_leaves_the_old_page(job: Path, tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    page.write_text("old")
    before = sorted(tmp_path.rglob("*"))
    with files_end_after(2**20):
        code, message = run(str(job), "--output", str(page))
    assert (code, message) == (2, f"error: {page} could not be written: File too large.\n")
    assert page.read_text() == "old"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_page_behind_a_link_or_in_a_pipe_goes_where_it_leads(job: Path, tmp_path: Path) -> None:
    page, link, pipe = (tmp_path / name for name in ("p.html", "link.html", "pipe"))
    link.symlink_to(page)
    assert run(str(job), "--output", str(link)) == (0, "")
    assert link.is_symlink() and page.read_bytes()
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert run(str(job), "--output", str(pipe)) == (0, "")
    reader.join(TIMEOUT)
    assert heard == [page.read_bytes()] and pipe.is_fifo()


def test_the_page_of_a_bucket_is_written_to_the_current_folder(
    job: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    monkeypatch.chdir(tmp_path)
    with FaultyStorage() as storage:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage.url)
        for file in ("manifest.json", "hyperparameters.json"):
            storage.put(f"a/run/{file}", (job / "1" / file).read_bytes())
        assert run("gs://bucket/a/run") == (0, "")
    assert "gs://bucket/a/run" in (tmp_path / "report.html").read_text("utf-8")
