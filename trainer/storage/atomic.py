"""Atomic writes of files and folders: a reader sees the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any


def write(target: Path, save: Callable[[Path], Any]) -> None:
    """Has `save` fill a file or folder under a temporary name, then renames it to `target`.

    The temporary name is in the same folder and has the same ending. A link at `target` is
    replaced, not followed.
    """
    temporary, old = (target.with_name(f".{uuid.uuid4().hex}-{target.name}") for _ in range(2))
    try:
        with errors_naming(target):
            save(temporary)
            if temporary.is_dir() and target.is_dir():  # a rename cannot replace a folder
                target.rename(old)
            temporary.replace(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    finally:
        remove(temporary)
        remove(old)


@contextlib.contextmanager
def errors_naming(path: Path) -> Iterator[None]:
    """Makes an OSError name this file. On a full disk it would name none, or a temporary one."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def write_bytes(target: Path, content: bytes) -> None:
    write(target, lambda path: path.write_bytes(content))


def write_json(target: Path, content: Mapping[str, Any]) -> None:
    write_bytes(target, f"{json.dumps(content, indent=2, allow_nan=False)}\n".encode())


def remove_leftovers(target: Path) -> None:
    """Removes temporary files of a process that was killed in `write`."""
    name = re.compile(rf"\.[0-9a-f]{{8,32}}-{re.escape(target.name)}")
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in target.parent.iterdir():
            if name.fullmatch(path.name):
                remove(path)


def remove(path: Path) -> None:
    """Removes a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def whole_lines(content: bytes) -> bytes:
    """The complete lines of a file that is being appended to."""
    return content[: content.rfind(b"\n") + 1]
