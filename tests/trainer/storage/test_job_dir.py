"""The job dir: whole files or none, and nobody else's files touched.

More than 250 lines, since each thing that a job dir does has a few short tests.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from trainer.contract.job_files import (
    ARTEFACTS,
    CHECKPOINT,
    MANIFEST,
    METRICS,
    MODEL,
    SAVED_MODEL,
    SETTINGS,
    listed,
)
from trainer.storage.address import BadAddress
from trainer.storage.job_dir import JobDir, read_artefacts

in_one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill_folder(path: Path, content: str) -> None:
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "weights").write_text(content)


def fail_half_way(path: Path) -> None:
    path.write_text("half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def fail_half_way_in_a_folder(path: Path) -> None:
    fill_folder(path, "half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def test_a_new_job_dir_is_made_with_its_parents_and_is_empty(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path / "runs" / "one")
    assert names(job_dir.path) == []


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert JobDir("~/one").path == tmp_path / "one"


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        JobDir(tmp_path / "file" / "job")


def test_taking_a_folder_touches_nothing_in_it(tmp_path: Path) -> None:
    for name in ("probe", "notes.txt"):
        (tmp_path / name).write_text("mine")
    JobDir(tmp_path)
    assert names(tmp_path) == ["notes.txt", "probe"]
    assert (tmp_path / "probe").read_text() == "mine"


def test_a_file_is_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path)
    assert job_dir.write_text(METRICS, "all of it") == tmp_path / METRICS
    assert names(tmp_path) == [METRICS]
    assert (tmp_path / METRICS).read_text() == "all of it"


def test_a_file_is_not_seen_before_it_is_whole(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path)
    seen = []

    def save(path: Path) -> None:
        path.write_text("all of it")
        seen.append((tmp_path / MODEL).exists())

    job_dir.write(MODEL, save)
    assert seen == [False]


def test_the_temporary_name_ends_like_the_real_one(tmp_path: Path) -> None:
    """Keras and ffmpeg choose their formats by it."""
    JobDir(tmp_path).write(MODEL, lambda path: path.write_text(path.suffix))
    assert (tmp_path / MODEL).read_text() == ".keras"


def test_a_full_disk_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path)
    job_dir.write_text(MODEL, "old")
    with pytest.raises(OSError, match="No space left"):
        job_dir.write(MODEL, fail_half_way)
    assert names(tmp_path) == [MODEL]
    assert (tmp_path / MODEL).read_text() == "old"


def test_a_full_disk_leaves_the_old_folder_and_no_temporary(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path)
    job_dir.write(SAVED_MODEL, lambda path: fill_folder(path, "old"))
    with pytest.raises(OSError, match="No space left"):
        job_dir.write(SAVED_MODEL, fail_half_way_in_a_folder)
    assert names(tmp_path) == [SAVED_MODEL]
    assert (tmp_path / SAVED_MODEL / "inner" / "weights").read_text() == "old"


def test_a_failed_rename_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_dir = JobDir(tmp_path)
    job_dir.write_text(MODEL, "old")

    def replace(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(os, "replace", replace)
        job_dir.write_text(MODEL, "new")
    assert names(tmp_path) == [MODEL]
    assert (tmp_path / MODEL).read_text() == "old"


def test_an_interrupt_while_saving_leaves_no_temporary(tmp_path: Path) -> None:
    def interrupt(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        JobDir(tmp_path).write(MODEL, interrupt)
    assert names(tmp_path) == []


def test_an_interrupt_right_after_a_folder_was_replaced_leaves_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_dir = JobDir(tmp_path)
    job_dir.write(SAVED_MODEL, lambda path: fill_folder(path, "old"))
    replace = os.replace

    def interrupted(source: Path, target: Path) -> None:
        replace(source, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", interrupted)
        job_dir.write(SAVED_MODEL, lambda path: fill_folder(path, "new"))
    assert names(tmp_path) == [SAVED_MODEL]
    assert (tmp_path / SAVED_MODEL / "inner" / "weights").read_text() == "new"


def test_a_folder_replaces_a_folder_as_a_whole(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path)
    job_dir.write(SAVED_MODEL, lambda path: fill_folder(path, "old"))
    (tmp_path / SAVED_MODEL / "stale").write_text("")
    job_dir.write(SAVED_MODEL, lambda path: fill_folder(path, "new"))
    assert names(tmp_path / SAVED_MODEL) == ["inner"]
    assert (tmp_path / SAVED_MODEL / "inner" / "weights").read_text() == "new"


def test_json_is_readable_and_ends_in_a_newline(tmp_path: Path) -> None:
    path = JobDir(tmp_path).write_json(MANIFEST, {"score": 1.5})
    assert path.read_text() == '{\n  "score": 1.5\n}\n'


def test_nan_never_reaches_a_json_file(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path)
    with pytest.raises(ValueError):
        job_dir.write_json(MANIFEST, {"score": float("nan")})
    assert names(tmp_path) == []


def test_clearing_removes_what_a_run_leaves_and_nothing_else(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path)
    for name in set(ARTEFACTS) - {SAVED_MODEL}:
        job_dir.write_text(name, "")
    job_dir.write(SAVED_MODEL, lambda path: fill_folder(path, "old"))
    (tmp_path / "notes.txt").write_text("mine")
    job_dir.clear()
    assert names(tmp_path) == ["notes.txt"]


def test_a_folder_with_other_files_holds_no_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert not JobDir(tmp_path).holds_a_run()


@pytest.mark.parametrize("name", ARTEFACTS)
def test_any_artefact_makes_it_a_run(tmp_path: Path, name: str) -> None:
    job_dir = JobDir(tmp_path)
    job_dir.write_text(name, "")
    assert job_dir.holds_a_run()


def test_files_are_listed_with_true_sizes_and_digests(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path)
    job_dir.write_text(METRICS, "å")
    job_dir.write(SAVED_MODEL, lambda path: fill_folder(path, "weights"))
    job_dir.write_json(MANIFEST, {})
    (tmp_path / "notes.txt").write_text("mine")
    assert job_dir.files() == [
        {"name": METRICS, "size": 2, "sha256": hashlib.sha256("å".encode()).hexdigest()},
        {
            "name": f"{SAVED_MODEL}/inner/weights",
            "size": 7,
            "sha256": hashlib.sha256(b"weights").hexdigest(),
        },
    ]


def test_clearing_removes_what_killed_writes_left_and_other_hidden_files_stay(
    tmp_path: Path,
) -> None:
    for name in (f".0123abcd-{MODEL}", f".89abcdef-{CHECKPOINT}"):
        (tmp_path / name).write_text("half")
    fill_folder(tmp_path / f".0123abcd-{SAVED_MODEL}", "half")
    mine = [".0123abcd-notes", f".0123ABCD-{MODEL}", f".0123abc-{MODEL}", f".0123abcd-{MODEL}.bak"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    JobDir(tmp_path).clear()
    assert names(tmp_path) == sorted(mine)


def test_clearing_keeps_what_it_is_told_to(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path)
    for name in (MODEL, CHECKPOINT, f".0123abcd-{MODEL}"):
        (tmp_path / name).write_text("")
    job_dir.clear(keep=ARTEFACTS)
    assert names(tmp_path) == sorted([MODEL, CHECKPOINT])


def test_an_artefact_may_have_a_place_of_its_own(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path, {CHECKPOINT: "checkpoints/last"})
    job_dir.write_text(CHECKPOINT, "all of it")
    assert (tmp_path / "checkpoints" / "last").read_text() == "all of it"
    assert job_dir.holds_a_run()
    assert [file["name"] for file in job_dir.files()] == ["checkpoints/last"]
    job_dir.clear()
    assert not job_dir.holds_a_run()


def test_the_files_of_a_manifest_are_those_that_were_listed(tmp_path: Path) -> None:
    job_dir = JobDir(tmp_path)
    job_dir.write_text(METRICS, "å")
    job_dir.write(SAVED_MODEL, lambda path: fill_folder(path, "weights"))
    assert listed({"files": job_dir.files()}) == {
        METRICS: (2, hashlib.sha256("å".encode()).hexdigest()),
        f"{SAVED_MODEL}/inner/weights": (7, hashlib.sha256(b"weights").hexdigest()),
    }


# Reading


def test_artefacts_are_read_from_where_the_settings_say_they_lie(tmp_path: Path) -> None:
    (tmp_path / "job" / "checkpoints").mkdir(parents=True)
    (tmp_path / "job" / "checkpoints" / "last").write_text("saved")
    (tmp_path / "job" / METRICS).write_text("lines")
    settings_ = {"places": {CHECKPOINT: "checkpoints/last", MODEL: "../model"}}
    (tmp_path / "job" / SETTINGS).write_text(json.dumps(settings_))
    (tmp_path / "model").write_text("not ours")
    found = read_artefacts(str(tmp_path / "job"), CHECKPOINT, METRICS, MODEL)
    assert found == [b"saved", b"lines", None]


@in_one_folder
@given(places=JSON | st.fixed_dictionaries({CHECKPOINT: JSON}))
@example(places={CHECKPOINT: "\ud800"})
@example(places={CHECKPOINT: "a\0b"})
@example(places={CHECKPOINT: "/etc/hostname"})
@example(places={CHECKPOINT: "../secret"})
@example(places={CHECKPOINT: "x" * 5000})
def test_whatever_places_are_said_nothing_outside_is_read(places: Any, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir(exist_ok=True)
    (tmp_path / "secret").write_text("secret")
    (folder / SETTINGS).write_text(json.dumps({"places": places}))
    assert read_artefacts(str(tmp_path / "job"), CHECKPOINT) == [None]


@pytest.mark.parametrize("address", ["gs://", "gs://bucket", "s3://bucket/job", "gs://b/../c"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(BadAddress) as refusal:
        read_artefacts(address, CHECKPOINT)
    assert str(refusal.value).startswith("A gs:// address must ")
