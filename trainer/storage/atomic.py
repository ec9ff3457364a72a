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
    """`save` fills a file or folder under a temporary name, which then becomes `target`.

    The temporary name ends as the target's does, and lies beside it. A link at `target` is
    replaced, not followed.
    """
    temporary, old = (target.with_name(f".{uuid.uuid4().hex}-{target.name}") for _ in range(2))
    try:
        with errors_naming(target):
            save(temporary)
            if temporary.is_dir() and target.is_dir():  # a folder cannot be replaced, only moved
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
    """Makes an OSError name this file. By default a full disk names none, or a temporary one."""
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
    """Removes what a process that was killed in `write` has left."""
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
    """The lines of a file that is being appended to, without a last one that is not complete."""
    return content[: content.rfind(b"\n") + 1]
