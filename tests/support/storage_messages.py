"""Requests to the test storage and answers to them, in the real service's shape."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, NamedTuple

ACCOUNT = "trainer@test.iam.gserviceaccount.com"
PERMISSIONS = {  # a part of an upload needs none: its address is secret
    "insert": "storage.objects.create",
    "get": "storage.objects.get",
    "download": "storage.objects.get",
    "list": "storage.objects.list",
    "delete": "storage.objects.delete",
    "bucket": "storage.buckets.get",
}
ERRORS = {  # status: reason, message
    400: ("invalid", "Invalid request."),
    401: ("authError", "Invalid Credentials"),
    403: (
        "forbidden",
        f"{ACCOUNT} does not have {{permission}} access to the Google Cloud Storage {{what}}. "
        "Permission '{permission}' denied on resource (or it may not exist).",
    ),
    404: ("notFound", "The specified bucket does not exist."),
    412: ("conditionNotMet", "At least one of the pre-conditions you specified did not hold."),
    429: (
        "rateLimitExceeded",
        "The object exceeded the rate limit for object mutations.",
    ),
    501: ("notImplemented", "The storage for tests does not do this."),
}
OTHER_ERROR = ("backendError", "We encountered an internal error. Please try again.")


class Answer(NamedTuple):
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


def json_answer(content: object, status: int = 200) -> Answer:
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    return Answer(status, json.dumps(content).encode(), headers)


def error(status: int, message: str | None = None, **details: str) -> Answer:
    """An error in the real service's shape."""
    reason, usual = ERRORS.get(status, OTHER_ERROR)
    message = message or usual.format(**details)
    errors = [{"message": message, "domain": "global", "reason": reason}]
    return json_answer({"error": {"code": status, "message": message, "errors": errors}}, status)


@dataclass
class Upload:
    """An object on its way in, at once or in parts."""

    metadata: dict[str, Any]
    content: bytes | bytearray | memoryview  # bytearray if in parts
    if_generation: str | None = None
    answer: Answer | None = None  # once finished; for who asks again because it was lost

    @property
    def name(self) -> str:
        return str(self.metadata["name"])

    @classmethod
    def of_insert(cls, query: Mapping[str, str], headers: Message, body: bytes) -> Upload:
        content: bytes | bytearray | memoryview = bytearray()
        if query.get("uploadType") == "multipart":  # the metadata, then the content
            boundary = f"\r\n--{headers.get_boundary()}".encode()
            head = body.index(b"\r\n\r\n") + 4
            head_end = body.index(boundary, head)
            start = body.index(b"\r\n\r\n", head_end) + 4
            metadata = json.loads(body[head:head_end])
            content = memoryview(body)[start : body.rindex(boundary)]
            kind = re.search(rb"(?i)content-type: *([^\r\n]+)", body[head_end:start])
            metadata.setdefault("contentType", kind[1].decode() if kind else None)
        elif query.get("uploadType") == "resumable":  # the metadata
            metadata = json.loads(body or b"{}")
            metadata.setdefault("contentType", headers.get("X-Upload-Content-Type"))
        else:
            metadata, content = {"contentType": headers.get("Content-Type")}, body
        name = {"name": query["name"]} if "name" in query else {}
        return cls(metadata | name, content, query.get("ifGenerationMatch"))


@dataclass
class Request:
    """One line of the log, written on arrival: `status` is None while it is in flight."""

    time: float  # monotonic
    method: str
    path: str  # with the query
    body_bytes: int
    kind: str = "other"
    name: str | None = None  # of the object
    permissions: tuple[str, ...] = ()  # that the real service would ask for
    status: int | str | None = None  # what was answered, or "reset", "stalled"
    wrote: bool = False  # made, replaced or deleted its object, whatever was answered

    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Message = field(default_factory=Message, repr=False)
    body: bytes = field(default=b"", repr=False)  # let go once answered, and the upload too
    upload: Upload | None = field(default=None, repr=False)
