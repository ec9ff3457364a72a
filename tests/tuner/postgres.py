"""A PostgreSQL of a test's own: in a folder, on a port that is free, with a password."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

PASSWORD = "s3cr3t/{of}@workers"
_QUOTED = "s3cr3t%2F%7Bof%7D%40workers"


def binaries() -> Path | None:
    """Where its programs lie; Debian puts them beside no others."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    named = shutil.which("initdb")
    return found[0].parent if found else Path(named).resolve().parent if named else None


class Postgres:
    """A server that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        programs = binaries()
        assert programs is not None
        self._programs, self._folder = programs, folder
        self._user = "postgres" if os.geteuid() == 0 else getpass.getuser()  # root it refuses
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        folder.mkdir()
        word = folder / "password"
        word.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, word):
                shutil.chown(path, self._user)
        self._run("initdb", "-D", "data", "-U", "tuner", "--auth=scram-sha-256", "--no-sync",
                  "--pwfile=password", "--encoding=UTF8", "--locale=C")  # fmt: skip

    def url(self, password: str = _QUOTED) -> str:
        return f"postgresql://tuner:{password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -F"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *words: str) -> None:
        command: Sequence[str] = (str(self._programs / program), *words)
        if os.geteuid() == 0:
            command = ("runuser", "-u", self._user, "--", *command)
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
