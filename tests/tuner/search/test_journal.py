"""The study's journal: killed writers, full disks, damaged files."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tests.conftest import ROOT
from trainer.storage import atomic
from tuner.search import journal

NAME = "study"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A study of three trials."""
    path = tmp_path / "study.journal"
    study = optuna.create_study(storage=journal.opened(path), study_name=NAME)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) ** 2, n_trials=3)
    return path


def trials(storage: JournalStorage) -> list[optuna.trial.FrozenTrial]:
    if not storage.get_all_studies():
        return []
    return optuna.load_study(study_name=NAME, storage=storage).get_trials()


def test_optunas_own_storage_reads_it_and_adds_to_it(file: Path) -> None:
    theirs = JournalStorage(JournalFileBackend(str(file)))
    assert trials(theirs) == trials(journal.opened(file)) == trials(journal.read(file.read_bytes()))
    ours = journal.opened(file)
    optuna.load_study(study_name=NAME, storage=theirs).set_user_attr("note", "a dashboard's")
    optuna.load_study(study_name=NAME, storage=ours).set_user_attr("own", 1)
    for storage in (ours, theirs, journal.opened(file)):
        assert storage.get_study_user_attrs(0) == {"note": "a dashboard's", "own": 1}


@given(kept=st.integers(0), zeros=st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_after_a_truncated_write_the_study_continues_from_the_last_complete_line(
    file: Path, kept: int, zeros: int
) -> None:
    content = file.read_bytes()
    cut = content[: kept % (len(content) + 1)]
    cut += b"\0" * zeros * bool(atomic.whole_lines(cut))
    torn = file.with_name("torn")
    torn.write_bytes(cut)
    assert trials(journal.read(cut)) == trials(journal.opened(torn))
    storage = journal.opened(torn)
    assert torn.read_bytes() == cut, "not before there is something to write"
    if not storage.get_all_studies():
        optuna.create_study(storage=storage, study_name=NAME)
    before = trials(storage)
    optuna.load_study(study_name=NAME, storage=storage).add_trial(
        optuna.trial.create_trial(value=1.0)
    )
    assert trials(JournalStorage(JournalFileBackend(str(torn))))[:-1] == before


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"a text", "its end is not an Optuna journal record"),
        (b"a text\n", "a line is not JSON"),
        (b"\xff\n", "can't decode byte 0xff"),
        (b"[]\n", "a line is not an Optuna journal record"),
        (b'{"op_code":99}\n', "a line is not an Optuna journal record"),
        (b'{"op_code":4,"study_id":7}\n', "a line is not an Optuna journal record"),
        (b"SQLite format 3\0", "its end is not an Optuna journal record"),
        (b"\0" * 5000, "its end is not an Optuna journal record"),
        (b"[" * 100_000 + b"\n", "a line is not an Optuna journal record"),
        (b'{"op_code":"1"}\n', "a line is not an Optuna journal record"),
    ],
)
def test_a_file_that_is_not_a_journal_is_refused_and_not_changed(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "study.journal"
    path.write_bytes(content)
    before = path.stat()
    with pytest.raises(StorageInternalError, match=reason):
        journal.opened(path)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(StorageInternalError, match=reason):
        journal.read(content)
    assert path.read_bytes() == content


def test_a_line_broken_in_the_middle_is_found(file: Path) -> None:
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:3], lines[3][:20] + b"\n", *lines[4:]]))
    before = file.read_bytes()
    with pytest.raises(StorageInternalError, match="a line is not JSON"):
        journal.opened(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_path_that_is_not_a_regular_file_is_refused(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "study.journal")
    with pytest.raises(StorageInternalError, match="it is not a regular file"):
        journal.opened(tmp_path / "study.journal")


def test_a_piece_that_another_writer_leaves_meanwhile_is_dropped(file: Path) -> None:
    storage, before = journal.opened(file), file.read_bytes()
    note = b'{"op_code":2,"worker_id":"d","study_id":0,"user_attr":{"note":1}}\n'
    file.write_bytes(before + note + note[:30])
    storage.set_study_user_attr(0, "own", 1)
    for found in (storage, journal.opened(file)):
        assert found.get_study_user_attrs(0) == {"note": 1, "own": 1}
    assert file.read_bytes().startswith(before + note)


@pytest.mark.parametrize(
    "harm, reason",
    [
        (lambda file: file.unlink(), "No such file or directory"),
        (lambda file: file.write_bytes(file.read_bytes()[:50]), "it has become shorter"),
        (
            lambda file: file.write_bytes(b"ruined " * 5000),
            "its end is not an Optuna journal record",
        ),
        (lambda file: file.write_bytes(b"ruined\n" * 5000), "a line is not JSON"),
        (
            lambda file: file.write_bytes(file.read_bytes() + b'{"op_code":99}\n'),
            "a line is not an Optuna journal record",
        ),
    ],
)
def test_a_file_damaged_while_open_is_detected(
    file: Path, harm: Callable[[Path], object], reason: str
) -> None:
    storage = journal.opened(file)
    harm(file)
    with pytest.raises(StorageInternalError, match=reason):
        storage.set_study_user_attr(0, "more", 1)


FULL = """
import resource, signal, sys
from pathlib import Path
from optuna.exceptions import StorageInternalError
from tuner.search import journal
path = Path(sys.argv[1])
storage = journal.opened(path)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
try:
    storage.set_study_user_attr(0, "large", "x" * 1000)
except StorageInternalError as error:
    print(error, path.stat().st_size == size)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
storage.set_study_user_attr(0, "small", 1)
"""


def test_a_full_disk_leaves_no_piece_of_a_line(file: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(file)], capture_output=True, text=True, cwd=ROOT
    )
    assert (ended.stdout, ended.stderr) == ("File too large True\n", "")
    assert journal.opened(file).get_study_user_attrs(0) == {"small": 1}


def test_every_change_is_one_line(file: Path) -> None:
    storage, before = journal.opened(file), file.read_bytes()
    storage.set_study_user_attr(0, "text", "two\nlines\u2028")
    (line,) = file.read_bytes().removeprefix(before).splitlines()
    assert json.loads(line)["user_attr"] == {"text": "two\nlines\u2028"}
