"""Where a study of several workers is kept: its address, its secrets, and the way in.

Whoever may list processes reads their command lines, so a password comes from elsewhere.
"""

from __future__ import annotations

import re
import stat
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from tuner.spec.diagnostics import shown

# A library of ours is named, or SQLAlchemy would take another that is not installed.
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_JOURNAL, _GRPC = "journal", "grpc"
_PASSWORDS = ("password", "passwd")  # in a URL's query
# Variables from which database libraries take passwords, or the names of files with them.
SECRET_VARIABLES = ("PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE", "MYSQL_PWD")
_SECONDS = 10  # to connect, or to answer
_TRIES = 5  # where others make the same tables at the same time


class Unreachable(Exception):
    """A storage that cannot be opened; the message is a sentence for the user."""


@dataclass(frozen=True)
class Address:
    """A storage, and what nobody must read of it."""

    kind: str
    target: str = field(repr=False)  # a URL, a path, or host:port
    url: URL | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    variable: str = ""  # of the environment, if it came from one

    def __str__(self) -> str:
        if self.url is None:
            return f"{self.kind}:{'//' * (self.kind == _GRPC)}{self.target}"
        return self.masked(self.url.set(query={}).render_as_string(hide_password=True))

    def masked(self, text: str) -> str:
        """A text without the secrets."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def reason(self, error: BaseException) -> str:
        """What an error says, in a line and without the secrets."""
        error = error.__cause__ or error
        said = getattr(error, "orig", None) or getattr(error, "details", lambda: None)() or error
        lines = str(said).strip().splitlines() or [type(error).__name__]
        return self.masked(lines[0]).rstrip(".")

    def is_file(self, path: Path) -> bool:
        """Whether it is that file."""
        return self.kind == _JOURNAL and Path(self.target).resolve() == path.resolve()

    def outside(self, environment: Mapping[str, str]) -> dict[str, str]:
        """An environment for processes that have no business with the storage."""
        hidden = {self.variable, *SECRET_VARIABLES}
        return {name: value for name, value in environment.items() if name not in hidden}


def address(text: str, environment: Mapping[str, str]) -> Address:
    """What `--storage` means. Raises ValueError."""
    scheme, colon, rest = text.partition(":")
    variable, given = "", text
    if scheme == "env" and colon:
        variable, given = rest, environment.get(rest, "").strip()
        if not given:
            raise ValueError(
                "--storage env:NAME must name a variable of the environment that holds the"
                f" storage's URL, but {shown(rest)} is not set."
            )
    elif scheme == "file" and colon:
        given = _read(Path(rest.removeprefix("//")).expanduser())
    # No secret of the environment is in the URL; but what a server says may hold it.
    inherited = tuple(filter(None, (environment.get(name) for name in ("PGPASSWORD", "MYSQL_PWD"))))
    found = _address(given, variable, inherited)
    if given is text and len(found.secrets) > len(inherited):
        raise ValueError(
            "--storage must not have a password in it: whoever runs `ps` on this machine would read"
            " it. Put the URL into a variable or into a file that only you can read, and give"
            " --storage env:NAME or --storage file:PATH; or leave the password out and keep it in"
            " PGPASSFILE."
        )
    return found


def _address(given: str, variable: str, secrets: tuple[str, ...]) -> Address:
    scheme, colon, rest = given.partition(":")
    if scheme == _JOURNAL and rest:
        path = re.sub("^//(?=/)", "", rest)
        if path.startswith("//"):
            raise ValueError("a journal must be a file, as in journal:///folder/workers.journal.")
        return Address(_JOURNAL, str(Path(path).absolute()), None, secrets, variable)
    if scheme == _GRPC and colon:
        if not re.fullmatch(r"//[^/@:]+:[0-9]{1,5}/?", rest):
            raise ValueError("a gRPC storage must be a host and a port, as in grpc://host:13000.")
        return Address(_GRPC, rest.strip("/"), None, secrets, variable)
    dialect = scheme.partition("+")[0]
    if dialect not in _DRIVERS or not rest.startswith("//"):
        raise ValueError(
            "--storage must begin with postgresql://, mysql://, journal: or grpc://, or be env:NAME"
            " or file:PATH that hold one that does."
        )
    try:
        url = make_url(_DRIVERS[dialect] + ":" + rest)
    except (ArgumentError, ValueError):
        raise ValueError(
            "--storage must be a URL such as postgresql://user@host:5432/database, but this one"
            " cannot be read. Write signs such as @ and / in a password as %40 and %2F."
        ) from None
    passwords = [str(url.query[name]) for name in _PASSWORDS if name in url.query]
    if url.password:
        passwords.append(str(url.password))
    for password in passwords:
        written = {password, quote(password, safe=""), quote_plus(password), quote(password)}
        secrets += tuple(written)
    return Address(dialect, given, url, secrets, variable)


def _read(path: Path) -> str:
    try:
        found = path.stat()
        private = not found.st_mode & stat.S_IRWXO
        # A secret that a cluster mounts belongs to root and is for a group.
        if private and (found.st_uid == 0 or not found.st_mode & stat.S_IRWXG):
            return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ValueError(f"--storage file:PATH must be a file that can be read: {why}.") from None
    raise ValueError(
        f"{path} must be readable by nobody else, for it holds a password, but its mode is"
        f" {stat.S_IMODE(found.st_mode):04o}: chmod 600 {path}"
    )


def opened(where: Address) -> Any:
    """The storage, as Optuna has it.

    Raises:
        ValueError: its library is missing.
        Unreachable: it does not answer.
    """
    for left in reversed(range(_TRIES)):
        try:
            return _OPEN.get(where.kind, _database)(where)
        except ImportError as error:
            raise ValueError(
                f"a storage {where.kind}: must have {error.name or 'its library'}. Install it:"
                " pip install '.[distributed]'"
            ) from None
        except Exception as error:
            # Who makes the tables a moment after another is told that they are there.
            if left and _is_race(error):
                time.sleep(0.5)
                continue
            raise Unreachable(
                f"The storage {where} must be there and let this worker in, but:"
                f" {where.reason(error)}."
            ) from None
    raise AssertionError


def _is_race(error: BaseException) -> bool:
    from sqlalchemy import exc

    text = str(error)
    return isinstance(error, exc.IntegrityError | exc.ProgrammingError) or "already exists" in text


def _database(where: Address) -> Any:
    from optuna.storages import RDBStorage, get_storage
    from sqlalchemy import event

    assert where.url is not None
    postgres = where.url.get_backend_name() == "postgresql"
    limits: dict[str, Any] = {"connect_timeout": _SECONDS}
    if postgres:  # a line that was cut is noticed
        limits |= {"keepalives_idle": _SECONDS, "keepalives_interval": 5, "keepalives_count": 3}
        limits |= {"tcp_user_timeout": 2000 * _SECONDS}
    else:
        limits |= {"read_timeout": 2 * _SECONDS, "write_timeout": 2 * _SECONDS}
    url = where.url.render_as_string(hide_password=False)
    storage = RDBStorage(
        url.replace("{", "{{").replace("}", "}}"),  # Optuna fills in templates
        engine_kwargs={"pool_pre_ping": True, "connect_args": limits},
    )
    if postgres:
        # A worker that is stopped in the middle of a transaction holds up nobody.
        @event.listens_for(storage.engine, "connect")
        def limit(connection: Any, record: Any) -> None:
            connection.execute(f"SET idle_in_transaction_session_timeout = {1000 * _SECONDS}")
            connection.commit()

        storage.engine.dispose()
    return get_storage(storage)


def _journal(where: Address) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(where.target))


def _grpc(where: Address) -> Any:
    import grpc  # noqa: F401
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import GrpcStorageProxy

    host, _, port = where.target.rpartition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        storage = GrpcStorageProxy(host=host, port=int(port))
    storage.wait_server_ready(timeout=_SECONDS)
    return storage


_OPEN = {_JOURNAL: _journal, _GRPC: _grpc}


def close(storage: Any) -> None:
    """Lets go of its connections."""
    engine = getattr(getattr(storage, "_backend", None), "engine", None)
    if engine is not None:
        engine.dispose()
    elif hasattr(storage, "close"):
        storage.close()
