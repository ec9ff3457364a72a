"""The names of a job dir's files, and what a manifest lists."""

from __future__ import annotations

import json
import posixpath
from pathlib import PureWindowsPath
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from trainer.contract.job_files import MANIFEST, is_inside, json_object, listed

PARTS = st.sampled_from(["", ".", "..", "a", "...", "..a", "C:", "~", " ", "a\\b", "..\\.."])
NAMES = st.text() | st.lists(PARTS, max_size=5).map("/".join)


def file_named(name: Any, size: Any = 1) -> dict[str, Any]:
    return {"name": name, "size": size, "sha256": "0"}


@given(name=NAMES)
@example("..")
@example("a/../../b")
@example("/etc/passwd")
@example("C:/windows")
@example("..\\..\\b")
@example("\\\\host\\share")
def test_no_name_that_is_accepted_leaves_the_folder(name: str) -> None:
    try:
        (found,) = listed({"files": [file_named(name)]})
    except ValueError as error:
        assert f"it lists {name!r}, which" in str(error)
        return
    assert found == name and is_inside(name)
    assert posixpath.normpath(posixpath.join("/job", name)) == f"/job/{name}"
    windows = PureWindowsPath("J:/job") / name
    assert windows.parts[:2] == ("J:\\", "job") and ".." not in windows.parts
    assert len(windows.parts) == 2 + len(name.split("/"))


@given(parts=st.lists(st.from_regex(r"[A-Za-z0-9_.-]{1,8}", fullmatch=True), min_size=1))
def test_ordinary_names_are_accepted(parts: list[str]) -> None:
    assume(not {".", ".."} & set(parts))
    assert is_inside("/".join(parts))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(manifest=st.dictionaries(st.sampled_from(["files", "state"]), JSON))
@example({})
@example({"files": {"a": 1}})
@example({"files": ["a"]})
@example({"files": [file_named("a", "many")]})
@example({"files": [file_named("a", float("nan"))]})
@example({"files": [file_named("a", float("inf"))]})
@example({"files": [{"name": "a", "size": 1}]})
def test_a_manifest_that_lists_no_files_is_refused(manifest: dict[str, Any]) -> None:
    assume(manifest.get("files") not in ([], "", {}))
    with pytest.raises(ValueError, match=f"^{MANIFEST} is (damaged|not valid): "):
        listed(manifest)


def test_an_object_is_read_back() -> None:
    assert json_object(json.dumps({"a": [1]}).encode()) == {"a": [1]}


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"null", b"\xff\xfe", b'{"a": 1'])
def test_what_holds_no_object_reads_as_none(content: bytes | None) -> None:
    assert json_object(content) is None


@given(content=st.binary())
@example(b"[" * 100_000)
@example(b"9" * 5_000)
def test_arbitrary_bytes_read_as_an_object_or_none(content: bytes) -> None:
    assert json_object(content) is None or isinstance(json_object(content), dict)
