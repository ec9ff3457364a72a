"""Addresses of storages, and that their passwords are seen by nobody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tuner.distributed import storage
from tuner.distributed.storage import address

URL = "postgresql://me:p%40ss%2Fword@db.example:5432/studies"


def test_a_url_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(URL + "\n")
    file.chmod(0o600)
    for found in (address("env:DB", {"DB": URL}), address(f"file:{file}", {})):
        assert found.url is not None
        assert found.url.drivername == "postgresql+psycopg"
        assert found.url.password == "p@ss/word"
        assert str(found) == "postgresql+psycopg://me:***@db.example:5432/studies"
        assert "p@ss" not in repr(found) and "p%40" not in repr(found)


@pytest.mark.parametrize(
    "text, name",
    [
        ("mysql://me@db/studies", "mysql+pymysql"),
        ("mariadb://me@db/studies", "mysql+pymysql"),
        ("postgres://me@db/studies", "postgresql+psycopg"),
        ("postgresql+psycopg2://me@db/studies", "postgresql+psycopg"),
    ],
)
def test_the_library_is_the_one_that_is_installed(text: str, name: str) -> None:
    found = address(text, {})
    assert found.url is not None and found.url.drivername == name


def test_journals_and_proxies_have_addresses_too(tmp_path: Path) -> None:
    assert address("journal:///a/b.journal", {}).target == "/a/b.journal"
    assert address("journal:b.journal", {}).target == str(Path("b.journal").absolute())
    assert str(address("grpc://host:13000", {})) == "grpc://host:13000"


def test_what_is_said_has_no_password() -> None:
    found = address("env:DB", {"DB": URL, "PGPASSWORD": "other"})
    error = RuntimeError("no p@ss/word, no p%40ss%2Fword, no p%40ss/word, no other.\nand more")
    assert found.reason(error) == "no ***, no ***, no ***, no ***"
    assert found.masked(URL) == "postgresql://me:***@db.example:5432/studies"


def test_trials_see_neither_the_variable_nor_other_passwords() -> None:
    environment = {"DB": URL, "PGPASSWORD": "x", "PGPASSFILE": "y", "MYSQL_PWD": "z", "HOME": "h"}
    assert address("env:DB", environment).outside(environment) == {"HOME": "h"}


@pytest.mark.parametrize("url", [URL, "postgresql://db/x?password=p", "mysql://me:p@db/x"])
def test_a_password_on_the_command_line_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"whoever runs `ps` .* --storage env:NAME") as refused:
        address(url, {})
    assert "p%40ss" not in str(refused.value) and "p@ss" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "url"
    file.write_text(URL)
    file.chmod(mode)
    wrong = f"{file} must be readable by nobody else, .* is {mode:04o}: chmod 600 {file}"
    with pytest.raises(ValueError, match=wrong):
        address(f"file:{file}", {})


@pytest.mark.parametrize(
    "text, message",
    [
        ("env:NONE", "but NONE is not set"),
        ("file:/no/such", "must be a file that can be read: No such file or directory"),
        ("sqlite:///x.db", "--storage must begin with postgresql://, mysql://, journal: or grpc:"),
        ("study", "--storage must begin with"),
        ("grpc://host", "a gRPC storage must be a host and a port"),
        ("journal://host/x", "a journal must be a file"),
        ("postgresql://db:port/x", "this one cannot be read"),
    ],
)
def test_other_addresses_are_refused_in_a_sentence(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        address(text, {})


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pymysql", None)
    with pytest.raises(ValueError, match=r"pip install '\.\[distributed\]'"):
        storage.opened(address("mysql://me@db/studies", {}))
