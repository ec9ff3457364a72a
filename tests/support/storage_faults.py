"""Faults of the test storage: which requests fail, and how."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

from tests.support.storage_messages import PERMISSIONS, Answer, Request, error


@dataclass
class Fault:
    """Which requests fail, and how. The first added that is due acts, alone."""

    kind: str = ".*"  # regular expression for all of it: "get|download"
    name: str = ""  # regular expression for some of it
    permission: str | None = None  # only what needs it
    skip: int = 0  # lets so many pass
    times: float = float("inf")  # then fails so many

    status: int | None = None  # this error, and nothing is done
    reset: bool = False  # RST, and nothing is done
    lose_answer: bool = False  # RST, but all is done
    delay: float = 0.0  # seconds before anything is done
    together: threading.Barrier | None = None  # waits for so many of them before anything is done
    stall: float = 0.0  # seconds between what is done and the answer
    corrupt: bool = False  # one byte of a download is wrong
    cut: bool = False  # half of the answer, then the end

    matched: int = field(default=0, init=False)  # so many yet, failed or not

    @classmethod
    def deny(cls, permission: str, name: str = "") -> Fault:
        """403 for what needs it. To overwrite an object needs `storage.objects.delete` as well."""
        return cls(name=name, permission=permission, status=403)

    def is_due(self, request: Request) -> bool:
        if (
            not re.fullmatch("download" if self.corrupt else self.kind, request.kind)
            or not re.search(self.name, request.name or "")
            or (self.permission and self.permission not in request.permissions)
        ):
            return False
        self.matched += 1
        return self.skip < self.matched <= self.skip + self.times

    def error(self, status: int, request: Request) -> Answer:
        denied = self.permission or PERMISSIONS.get(request.kind, "storage.objects.create")
        what = "bucket" if request.kind in ("list", "bucket") else "object"
        return error(status, permission=denied, what=what)
