"""A folder to run studies in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.workspaces import Workspace


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAKE", str(tmp_path / "fake.json"))
    return Workspace(tmp_path)
