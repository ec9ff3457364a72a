"""`scripts/pin_digests.py` writes the digests that it reads, and names what it cannot read."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from tests.conftest import ROOT

COMMIT, OLDER, DIGEST = "c" * 40, "0" * 40, "sha256:" + "d" * 64


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "pin_digests", ROOT / "scripts" / "pin_digests.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(script: ModuleType, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str]) -> None:
    """Answers commands by their first word."""
    monkeypatch.setattr(script, "output_of", lambda *command: answers.get(command[0], ""))


def test_tags_become_digests_and_stay_beside_them(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An annotated tag has an object of its own, and the commit in a second line.
    answer(
        script,
        monkeypatch,
        {
            "git": f"{OLDER}\trefs/tags/v7\n{COMMIT}\trefs/tags/v7^{{}}\n",
            "docker": f"{DIGEST}\n",
        },
    )
    unread: list[str] = []
    text = "    - uses: actions/checkout@v7\n      with:\nFROM python:3.11-slim\n"
    once = script.pinned(text, unread.append)
    assert once == (
        f"    - uses: actions/checkout@{COMMIT} # v7\n      with:\nFROM python:3.11-slim@{DIGEST}\n"
    )
    assert script.pinned(once, unread.append) == once
    assert not unread


def test_an_older_digest_is_replaced(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(script, monkeypatch, {"git": f"{COMMIT}\trefs/tags/v7\n"})
    text = f"- uses: actions/checkout@{OLDER} # v7\n"
    assert script.pinned(text, print) == f"- uses: actions/checkout@{COMMIT} # v7\n"


def test_what_cannot_be_read_stays_and_is_named(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(script, monkeypatch, {"docker": "ERROR: no such image"})
    unread: list[str] = []
    text = "- uses: actions/checkout@v7\nFROM python:3.11-slim\n"
    assert script.pinned(text, unread.append) == text
    assert unread == ["actions/checkout@v7", "python:3.11-slim"]


def test_actions_are_pinned_to_commits() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    used = re.findall(r"uses: (.*)$", workflow, re.MULTILINE)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+", action), action
