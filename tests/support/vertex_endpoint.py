"""A stand-in for the two training services (and a bucket) that refuses what they would refuse.

gcloud sends an AI Platform config as it is, so an endpoint that accepts everything proves nothing.
What a message may hold is read from gcloud's own generated classes: source text, never imported,
so that none of gcloud's bundled libraries get between ours.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

CLIENTS = Path("lib/googlecloudsdk/generated_clients/apis")
JSON_TYPES: dict[str, tuple[type, ...]] = {
    "StringField": (str,),
    "BytesField": (str,),
    "BooleanField": (bool,),
    "FloatField": (int, float),
}
REASONS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def find_sdk() -> Path | None:
    """Where gcloud lies with its message classes; None where either is missing."""
    gcloud = shutil.which("gcloud")
    sdk = Path(gcloud).resolve().parent.parent if gcloud else None
    return sdk if sdk and (sdk / CLIENTS).is_dir() else None


class Field(NamedTuple):
    """One field of a message: its kind, the class it refers to if any, and whether it is a list."""

    kind: str
    refers_to: str
    repeated: bool


@dataclass(frozen=True)
class Schema:
    """The messages and enums of one generated client, by qualified name."""

    messages: Mapping[str, Mapping[str, Field]]
    enums: Mapping[str, frozenset[str]]

    def complaints(self, value: Any, message: str, at: str) -> Iterator[str]:
        """What the service would refuse in `value`, which should be a `message`."""
        if not isinstance(value, dict):
            yield f"Invalid value at '{at}': a {message} must be an object, got {value!r}"
            return
        fields = self.messages[message]
        if "additionalProperties" in fields:  # a map: its keys are the user's
            return
        for name, item in value.items():
            if name not in fields:
                yield f"Unknown name \"{name}\" at '{at}': Cannot find field."
                continue
            here, field = f"{at}.{name}", fields[name]
            if not field.repeated:
                yield from self._of_field(item, field, message, here)
            elif isinstance(item, list):
                for index, element in enumerate(item):
                    yield from self._of_field(element, field, message, f"{here}[{index}]")
            else:
                yield f"Invalid value at '{here}': must be a list, got {item!r}"

    def _of_field(self, value: Any, field: Field, message: str, at: str) -> Iterator[str]:
        if field.kind == "MessageField":
            if not field.refers_to.startswith("extra_types."):  # free JSON
                yield from self.complaints(value, self._find(field.refers_to, message), at)
        elif field.kind == "EnumField":
            words = self.enums[self._find(field.refers_to, message)]
            if not isinstance(value, str) or value not in words:
                yield f"Invalid value at '{at}': {value!r} is none of {sorted(words)}"
        elif not _scalar(value, field.kind):
            yield f"Invalid value at '{at}' ({field.kind}): {value!r}"

    def _find(self, name: str, inside: str) -> str:
        nested = f"{inside}.{name}"
        return nested if nested in self.messages or nested in self.enums else name


@cache
def schema(sdk: Path, api: str) -> Schema:
    """The schema of `ml` or `aiplatform` in the gcloud that lies in `sdk`."""
    source = (sdk / CLIENTS / api / "v1" / f"{api}_v1_messages.py").read_text(encoding="utf-8")
    messages: dict[str, dict[str, Field]] = {}
    enums: dict[str, frozenset[str]] = {}

    def visit(node: ast.ClassDef, outer: str) -> None:
        name = f"{outer}{node.name}"
        assigned = {
            target.id: statement.value
            for statement in node.body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }
        if ast.unparse(node.bases[0]).endswith(".Enum"):
            enums[name] = frozenset(assigned)
            return
        messages[name] = {
            key: _field(call) for key, call in assigned.items() if isinstance(call, ast.Call)
        }
        for statement in node.body:
            if isinstance(statement, ast.ClassDef):
                visit(statement, f"{name}.")

    for statement in ast.parse(source).body:
        if isinstance(statement, ast.ClassDef):
            visit(statement, "")
    return Schema(messages, enums)


def _field(call: ast.Call) -> Field:
    assert isinstance(call.func, ast.Attribute)
    first = call.args[0]
    refers_to = first.value if isinstance(first, ast.Constant) else ""
    repeated = any(keyword.arg == "repeated" for keyword in call.keywords)
    return Field(call.func.attr, refers_to if isinstance(refers_to, str) else "", repeated)


def _last_part(upload: bytes) -> bytes:
    """The file in a multipart upload, whose first part describes it."""
    boundary = upload.split(b"\n", 1)[0].rstrip(b"\r")
    part = upload.split(boundary)[-2]
    return re.split(rb"\r?\n\r?\n", part, maxsplit=1)[1].removesuffix(b"\n").removesuffix(b"\r")


def ranges(body: Any) -> Iterator[Mapping[str, Any]]:
    """Every object inside `body` that has both a least and a greatest value."""
    if isinstance(body, dict):
        if {"minValue", "maxValue"} <= body.keys():
            yield body
        for item in body.values():
            yield from ranges(item)
    elif isinstance(body, list):
        for item in body:
            yield from ranges(item)


def _scalar(value: Any, kind: str) -> bool:
    """Whether JSON's `value` may stand for a field of this kind."""
    if isinstance(value, bool):  # which Python takes for an integer
        return kind == "BooleanField"
    if kind == "IntegerField":
        # 64-bit integers travel as strings
        return re.fullmatch(r"-?\d+", str(value)) is not None
    return isinstance(value, JSON_TYPES[kind])


class Request(NamedTuple):
    """What gcloud asked; `body` is the JSON that it sent, or the bytes that it uploaded."""

    method: str
    path: str
    body: Any


class Endpoint:
    """Serves on a port of its own, keeps what was asked, and fails on demand.

    `failures` are the statuses that the next requests get, first to last; `job` is what it tells
    of any job.
    """

    # What is posted where, and the least that gcloud wants to hear about it.
    JOBS = re.compile(r"/v1/projects/[^/]+/jobs\?.*")
    TUNING = re.compile(r"/v1/(projects/[^/]+/locations/[^/]+/hyperparameterTuningJobs)\?.*")
    UPLOAD = re.compile(r"/upload/storage/v1/b/([^/]+)/o\?(?:.+&)?name=([^&]+).*")

    def __init__(self, sdk: Path) -> None:
        self._sdk = sdk
        self.requests: list[Request] = []
        self.failures: list[int] = []
        self.job: dict[str, Any] = {"state": "SUCCEEDED", "endTime": "2026-01-01T00:00:00Z"}
        self.uploaded: dict[str, bytes] = {}
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                upload = endpoint.UPLOAD.fullmatch(self.path)
                self._answer(content if upload else json.loads(content or "null"))

            def _answer(self, body: Any) -> None:
                request = Request(self.command, self.path, body)
                endpoint.requests.append(request)
                status, content = endpoint.answer(request)
                payload = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: Any) -> None:
                """The tests look at `requests` instead."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def posted(self) -> list[Any]:
        """The bodies of the jobs that were sent."""
        return [
            body
            for method, path, body in self.requests
            if method == "POST" and (self.JOBS.fullmatch(path) or self.TUNING.fullmatch(path))
        ]

    def answer(self, request: Request) -> tuple[int, Any]:
        if request.method == "GET":
            return (self._failure(self.failures.pop(0), "played back") if self.failures
                    else (200, self.job))  # fmt: skip
        if request.path.startswith("/v2/entries:list"):
            return 200, {}
        if place := self.UPLOAD.fullmatch(request.path):
            name, content = unquote(place[2]), _last_part(request.body)
            self.uploaded[f"gs://{place[1]}/{name}"] = content
            return 200, {"bucket": place[1], "name": name, "size": str(len(content))}
        if self.failures:
            return self._failure(self.failures.pop(0), "played back")
        if self.JOBS.fullmatch(request.path):
            if found := self._refusals(request.body, "ml", "GoogleCloudMlV1Job", "job"):
                return self._failure(400, "; ".join(found))
            return 200, {"jobId": request.body["jobId"], "state": "QUEUED"}
        if place := self.TUNING.fullmatch(request.path):
            message = "GoogleCloudAiplatformV1HyperparameterTuningJob"
            found = self._refusals(request.body, "aiplatform", message, "hyperparameter_tuning_job")
            if found:
                return self._failure(400, "; ".join(found))
            return 200, {"name": f"{place[1]}/7", "state": "JOB_STATE_PENDING"}
        return self._failure(404, request.path)

    def _refusals(self, body: Any, api: str, message: str, at: str) -> list[str]:
        return [
            *schema(self._sdk, api).complaints(body, message, at),
            *(
                f"minValue must not be above maxValue: {item}"
                for item in ranges(body)
                if float(item["minValue"]) > float(item["maxValue"])
            ),
        ]

    @staticmethod
    def _failure(status: int, message: str) -> tuple[int, Any]:
        return status, {"error": {"code": status, "message": message, "status": REASONS[status]}}
