"""`python -m trainer.sync` finishes what a run could not, and takes nothing else for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.cloud_runs import (
    PREFIX,
    UNCLOSED,
    WHERE,
    environment,
    objects_in,
    remote_folders,
    run,
    sentence,
    write,
)
from tests.support.kept_runs import keep, refused, said
from tests.support.storage_faults import Fault
from tests.support.storage_server import FaultyStorage
from trainer import sync
from trainer.contract.job_files import CHECKPOINT, MANIFEST, MODEL, SETTINGS
from trainer.storage import gcs
from trainer.storage.gcs import RemoteFolder
from trainer.storage.lease import OWNER

pytestmark = UNCLOSED


@pytest.fixture
def service() -> Iterator[FaultyStorage]:
    with FaultyStorage() as service:
        yield service


@pytest.fixture
def remote(service: FaultyStorage, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteFolder]:
    monkeypatch.setattr(gcs, "TIMEOUT", (1.0, 0.5))
    monkeypatch.setattr(gcs, "READING", 1.0)
    with remote_folders(service, monkeypatch) as open_folder:
        yield open_folder()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return keep(tmp_path / "kept")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# What it does


@pytest.mark.parametrize("finished", [True, False])
def test_everything_that_was_kept_is_uploaded(
    finished: bool,
    service: FaultyStorage,
    remote: RemoteFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = keep(tmp_path / "kept", finished=finished)
    assert sync.main([str(kept), WHERE]) == 0
    assert capsys.readouterr().out == f"{WHERE} holds all files. {kept} can be deleted.\n"
    assert objects_in(service) == contents(kept)


def test_what_a_run_had_uploaded_is_completed(
    service: FaultyStorage, remote: RemoteFolder, kept: Path
) -> None:
    write(remote, SETTINGS, (kept / SETTINGS).read_bytes())
    write(remote, CHECKPOINT, b"an earlier one")
    assert sync.main([str(kept), WHERE]) == 0
    assert objects_in(service) == contents(kept)
    assert len(service.writes(f"{PREFIX}/{SETTINGS}")) == 1


def test_it_can_be_done_twice(service: FaultyStorage, remote: RemoteFolder, kept: Path) -> None:
    for _ in range(2):
        assert sync.main([str(kept), WHERE]) == 0
    assert len(service.writes(f"{PREFIX}/{MODEL}")) == 1


def test_the_manifest_comes_last(service: FaultyStorage, remote: RemoteFolder, kept: Path) -> None:
    service.add(Fault(kind="insert", name=MODEL, times=1, status=503))
    assert sync.main([str(kept), WHERE]) == 0
    wrote = [r.name for r in service.requests if r.wrote and r.kind == "insert"]
    assert wrote.index(f"{PREFIX}/{MANIFEST}") > wrote.index(f"{PREFIX}/{MODEL}")


# What it refuses


@pytest.mark.parametrize("address", ["bucket/run", "gs://bucket", "gs://bucket/../run", "s3://b/r"])
def test_an_address_that_is_none_is_refused(
    address: str, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"got {address!r}" in refused(str(kept), address, capsys=capsys)


@pytest.mark.parametrize("deadline", ["-1", "nan", "soon"])
def test_a_deadline_that_is_none_is_refused(
    deadline: str, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(str(kept), WHERE, "--deadline", deadline, capsys=capsys)


@pytest.mark.parametrize("deadline", ["inf", "1e300", "30"])
def test_a_deadline_may_be_far_away(deadline: str, remote: RemoteFolder, kept: Path) -> None:
    assert sync.main([str(kept), WHERE, "--deadline", deadline]) == 0


def test_a_folder_without_a_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "holds no run" in refused(str(tmp_path), WHERE, capsys=capsys)
    assert "holds no run" in refused(str(tmp_path / "none"), WHERE, capsys=capsys)


@pytest.mark.parametrize("change", ["gone", "same size", "longer"])
def test_files_other_than_the_manifest_says_are_refused_by_name(
    change: str, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if change == "gone":
        (kept / MODEL).unlink()
    else:
        (kept / MODEL).write_text("Model" if change == "same size" else "model!")
    assert f"{MODEL!r} is missing, or differs from what" in refused(str(kept), WHERE, capsys=capsys)


def test_another_runs_address_is_refused_and_left_as_it_is(
    service: FaultyStorage,
    remote: RemoteFolder,
    kept: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    theirs = keep(tmp_path / "theirs", seed=1)
    assert sync.main([str(theirs), WHERE]) == 0
    assert sync.main([str(kept), WHERE]) == 1
    assert f"{WHERE} holds another run" in said(capsys)
    assert objects_in(service) == contents(theirs)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"settings": 1}'])
def test_an_address_whose_run_cannot_be_told_is_refused(
    content: bytes,
    service: FaultyStorage,
    remote: RemoteFolder,
    kept: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    service.put(f"{PREFIX}/{SETTINGS}", content)
    assert sync.main([str(kept), WHERE]) == 1
    assert "holds another run" in said(capsys)
    assert objects_in(service) == {SETTINGS: content}


def test_a_run_that_is_under_way_is_not_disturbed(
    service: FaultyStorage,
    remote: RemoteFolder,
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from trainer.storage import lease

    monkeypatch.setattr(lease, "HEARTBEAT", 0.0)
    owner = lease.Lease(remote)
    owner.take()

    def beat(_: float) -> None:
        owner.renew()

    monkeypatch.setattr(lease, "time", Clock(beat))
    assert sync.main([str(kept), WHERE]) == 1
    assert "Another run works in" in said(capsys)
    assert objects_in(service).keys() == {OWNER}


class Clock:
    """The time module, but for what happens during a wait."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self.sleep, self.monotonic = sleep, time.monotonic


# Faults


def test_what_cannot_be_uploaded_in_time_is_named(
    service: FaultyStorage, remote: RemoteFolder, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.add(Fault(kind="insert", name=MODEL, status=503))
    assert sync.main([str(kept), WHERE, "--deadline", "1.5"]) == 1
    stderr = capsys.readouterr().err
    assert f"{MODEL}, {MANIFEST} could not be uploaded to {WHERE} within 1.5 s" in stderr
    assert MANIFEST not in objects_in(service)
    service.clear()
    service.delete(f"{PREFIX}/{OWNER}")  # or we wait for ourselves, for this process lives on
    assert sync.main([str(kept), WHERE]) == 0
    assert objects_in(service) == contents(kept)


@pytest.mark.parametrize("status, sentence", [(403, "refuses"), (404, "does not exist")])
def test_a_bucket_that_says_no_is_believed(
    status: int,
    sentence: str,
    service: FaultyStorage,
    remote: RemoteFolder,
    kept: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    service.add(Fault(status=status))
    assert sync.main([str(kept), WHERE]) == 1
    assert sentence in capsys.readouterr().err


def test_a_service_that_hangs_does_not_hold_up_the_command(
    service: FaultyStorage, tmp_path: Path
) -> None:
    kept = keep(tmp_path / "kept")
    service.add(Fault(kind="insert", name=MODEL, delay=600))
    start = time.monotonic()
    process = run(
        *("-m", "trainer.sync", str(kept), WHERE, "--deadline", "3"),
        env=environment(service, tmp_path),
        cwd=tmp_path,
    )
    assert time.monotonic() - start < 15
    assert process.returncode == 1
    assert f"{MODEL}, {MANIFEST} could not be uploaded" in sentence(process)
