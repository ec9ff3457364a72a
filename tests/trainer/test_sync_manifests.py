"""`python -m trainer.sync` believes no manifest that points out of its folder."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.cloud_runs import WHERE
from tests.support.kept_runs import keep, refused
from trainer import sync
from trainer.contract.job_files import MANIFEST, listed

# What is no JSON, no manifest, or one that lists anything.
NAME = st.text() | st.lists(st.sampled_from(["..", ".", "", "a", "/", "\\", "C:", "\0"])).map(
    "/".join
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NAME,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FILE = st.fixed_dictionaries({"name": NAME, "size": ANYTHING, "sha256": ANYTHING}) | ANYTHING
LISTING = st.fixed_dictionaries({"files": st.lists(FILE, max_size=3) | ANYTHING}) | ANYTHING
CONTENT = st.binary() | LISTING.map(lambda content: json.dumps(content).encode())


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return keep(tmp_path / "kept")


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/../../b", "", ".", "a//b", "..\\b", "C:b", "a\0b"]
)
def test_a_manifest_that_leaves_its_folder_is_refused(
    name: str, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = kept.parent / "secret"
    secret.write_text("secret")
    digest = hashlib.sha256(b"secret").hexdigest()
    files = [{"name": name, "size": 6, "sha256": digest}]
    (kept / MANIFEST).write_text(json.dumps({"files": files}))
    assert "outside the job dir" in refused(str(kept), WHERE, capsys=capsys)


@given(CONTENT)
@example(json.dumps({"files": [{"name": "a" * 5000, "size": 1, "sha256": ""}]}).encode())
@example(b'{"files": [{"name": "a", "size": 1e999, "sha256": ""}]}')
@example(b'{"files": [{"name": "\\ud800", "size": 1, "sha256": ""}]}')
@example(b'{"files": [{"name": "a\\nb", "size": 1, "sha256": ""}]}')
@example(b"[" * 100_000)
def test_any_manifest_is_that_of_the_folder_or_refused_in_one_sentence(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = keep(Path(folder) / "kept")
        (kept / MANIFEST).write_bytes(content)
        stderr = io.StringIO()
        try:
            sync.check(kept)
        except (sync.Unfit, ValueError):
            with contextlib.redirect_stderr(stderr), pytest.raises(SystemExit) as end:
                sync.main([str(kept), WHERE])
            assert end.value.code == 2
            assert stderr.getvalue().count("\n") == 1, stderr.getvalue()


@given(LISTING)
def test_what_a_manifest_lists_lies_in_its_folder(content: Any) -> None:
    try:
        names = listed(content if isinstance(content, dict) else {})
    except ValueError:
        return
    root = Path("/job")
    for name in names:
        path = Path("/job", name)
        assert ".." not in path.parts
        assert path != root and root in path.parents


@given(st.binary() | ANYTHING.map(lambda content: json.dumps({"settings": content}).encode()))
def test_any_settings_are_a_runs_or_none(content: bytes) -> None:
    settings = sync._settings(content)
    assert settings is None or isinstance(settings, dict)
