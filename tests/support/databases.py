"""Database servers of a test's own: in a folder, on a port that is free, with a password."""

from __future__ import annotations

import getpass
import os
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PASSWORD = "s3cr3t/{of}@workers"
_QUOTED = "s3cr3t%2F%7Bof%7D%40workers"
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))  # mariadbd's


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One that can be killed and started again."""

    scheme = database = driver = refusal = ""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, _free_port()

    @staticmethod
    def is_here() -> bool:
        raise NotImplementedError

    def url(self, password: str = _QUOTED, *, port: int = 0) -> str:
        """As the tuner is given it."""
        at = f"127.0.0.1:{port or self.port}"
        return f"{self.scheme}://tuner:{password}@{at}/{self.database}"

    @property
    def engine_url(self) -> str:
        """As SQLAlchemy is."""
        return self.url().replace(self.scheme, self.driver, 1)

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError


class Postgres(Server):
    scheme, database, driver = "postgresql", "postgres", "postgresql+psycopg"
    refusal = "password authentication failed"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        programs = self._binaries()
        assert programs is not None
        self._programs = programs
        self._user = "postgres" if os.geteuid() == 0 else getpass.getuser()  # root it refuses
        folder.mkdir()
        word = folder / "password"
        word.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, word):
                shutil.chown(path, self._user)
        self._run("initdb", "-D", "data", "-U", "tuner", "--auth=scram-sha-256", "--no-sync",
                  "--pwfile=password", "--encoding=UTF8", "--locale=C")  # fmt: skip

    @classmethod
    def is_here(cls) -> bool:
        return cls._binaries() is not None

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -F"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    @staticmethod
    def _binaries() -> Path | None:
        """Where its programs lie; Debian puts them beside no others."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
        named = shutil.which("initdb")
        return found[0].parent if found else Path(named).resolve().parent if named else None

    def _run(self, program: str, *words: str) -> None:
        command: Sequence[str] = (str(self._programs / program), *words)
        if os.geteuid() == 0:
            command = ("runuser", "-u", self._user, "--", *command)
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


class MariaDB(Server):
    scheme, database, driver = "mysql", "studies", "mysql+pymysql"
    refusal = "Access denied for user 'tuner'"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(mode=0o700)
        account = "tuner@'127.0.0.1'"
        (folder / "account.sql").write_text(
            f"CREATE DATABASE IF NOT EXISTS {self.database};\n"
            f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON {self.database}.* TO {account};\n"
        )
        self._options = [
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            f"--user={getpass.getuser()}",  # said aloud, root will do
            "--innodb-log-file-size=8M",
            "--innodb-flush-log-at-trx-commit=2",  # survives the server, if not the machine
        ]
        done = subprocess.run(
            ["mariadb-install-db", *self._options, "--skip-test-db"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @staticmethod
    def is_here() -> bool:
        programs = ("mariadbd", "mariadb-install-db", "my_print_defaults")
        return all(shutil.which(program, path=_PATH) for program in programs)

    def start(self) -> None:
        program = shutil.which("mariadbd", path=_PATH)
        assert program is not None
        socket_ = self._folder / "socket"  # else it takes one that all servers share
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, *self._options, f"--port={self.port}", f"--socket={socket_}",
                 "--bind-address=127.0.0.1", "--skip-name-resolve",
                 f"--init-file={self._folder / 'account.sql'}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            said = (self._folder / "log").read_text("utf-8", "replace")
            assert self._process.poll() is None and time.monotonic() < deadline, said
            time.sleep(0.05)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(60)


class Line:
    """A line to a server, which can be cut and mended. Close it."""

    def __init__(self, server: int) -> None:
        self._server, self._cut = server, ""
        self._entry = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._entry.getsockname()[1])
        self._ended = False
        self._threads = [threading.Thread(target=self._answer)]
        self._threads[0].start()

    def cut(self, how: str) -> None:
        """Ends and refuses connections, or (`silent`) lets no byte through till it is mended."""
        self._cut = how

    def mend(self) -> None:
        self._cut = ""

    def close(self) -> None:
        self._ended = True
        for thread in self._threads:
            thread.join()
        self._entry.close()

    def _answer(self) -> None:
        while not self._ended:
            if not select.select([self._entry], [], [], 0.05)[0]:
                continue
            client = self._entry.accept()[0]
            self._threads.append(threading.Thread(target=self._carry, args=(client,)))
            self._threads[-1].start()

    def _carry(self, client: socket.socket) -> None:
        address = ("127.0.0.1", self._server)
        with client, suppress(OSError), socket.create_connection(address) as server:
            other = {client: server, server: client}
            while not self._ended and self._cut in ("", "silent"):
                for ready in select.select([*other], [], [], 0.05)[0]:
                    while self._cut == "silent" and not self._ended:
                        time.sleep(0.05)
                    if not (data := ready.recv(65536)):
                        return
                    other[ready].sendall(data)
