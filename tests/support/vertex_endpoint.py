"""A stand-in for the two training services (and a bucket) that refuses what they would refuse.

gcloud sends an AI Platform config as it is, so an endpoint that accepts everything proves nothing.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from tests.support.vertex_schema import schema

REASONS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


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
