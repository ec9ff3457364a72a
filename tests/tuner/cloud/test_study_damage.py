"""A damaged, replaced or removed study file does not damage the study in the bucket."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.support.bucket_studies import STUDY, Machine, end, states
from tests.support.storage_server import FaultyStorage
from tests.support.waiting import wait_until


def test_a_study_that_was_deleted_from_the_bucket_is_reported(
    machine: Callable[[str], Machine], storage: FaultyStorage
) -> None:
    here = machine("here")
    here.run("--max-trials", "1")
    storage.delete(f"{STUDY}/study.journal")
    ended = here.run("--max-trials", "1")
    assert ended.code == 1
    assert ended.err == (
        f"error: study.journal was deleted from gs://bucket/{STUDY}. Remove"
        f" runs/bucket/{STUDY} to start again.\n"
    )


@pytest.mark.parametrize("content", [b"ruined " * 1000, b"ruined\n", b"", "half"])
def test_a_damaged_file_is_not_uploaded(
    machine: Callable[[str], Machine], storage: FaultyStorage, content: bytes | str
) -> None:
    here, there = machine("here"), machine("there")
    assert here.run("--max-trials", "2").code == 0
    file = here.local / "study.journal"
    before, whole_file = storage.generation(f"{STUDY}/study.journal"), file.read_bytes()
    half = b"".join(whole_file.splitlines(keepends=True)[:5])
    file.write_bytes(half if isinstance(content, str) else content)
    ended = here.run("--max-trials", "3")
    assert ended.code == 1
    assert f"Remove runs/bucket/{STUDY} to continue from the bucket." in ended.out + ended.err
    assert storage.generation(f"{STUDY}/study.journal") == before
    assert there.run("--max-trials", "3").code == 0
    assert [there.starts(number) for number in "123"] == [1, 1, 1]


def test_a_pipe_instead_of_the_file_does_not_block(
    machine: Callable[[str], Machine], storage: FaultyStorage
) -> None:
    here = machine("here")
    assert here.run("--max-trials", "1").code == 0
    (here.local / "study.journal").unlink()
    os.mkfifo(here.local / "study.journal")
    ended = here.run("--max-trials", "2")
    assert (ended.code, "it is not a regular file" in ended.err) == (1, True)
    assert states(storage) == ["COMPLETE"]


def test_a_file_damaged_during_the_study_is_not_uploaded(
    machine: Callable[[str], Machine], storage: FaultyStorage
) -> None:
    here = machine("here")
    here.behave({"2": "hang"})
    process = here.start("--max-trials", "3")
    wait_until(lambda: here.starts("2"))
    (here.local / "study.journal").write_bytes(b"ruined " * 1000)
    ended = end(process)
    assert ended.code == 1
    assert "does not continue the study in gs://bucket/rl/study" in ended.out + ended.err
    assert states(storage) == ["COMPLETE", "RUNNING"]
