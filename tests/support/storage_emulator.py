"""One bucket of gcp-storage-emulator, with the generations and preconditions that it lacks.

More than 250 lines, since all that one bucket answers shares its lock and its generations.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from email.message import Message
from functools import partial
from http.server import HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

from tests.support.storage_messages import PERMISSIONS, Answer, Request, Upload, error, json_answer

HOST = "127.0.0.1"
POLL = 0.02  # seconds; how soon a server notices that it should stop
ADDRESS = re.compile(
    r"(/(?P<area>upload|download))?/storage/v1/b/(?P<bucket>[^/]+)"
    r"(?P<objects>/o(/(?P<name>.+))?)?"
)
KINDS = {
    ("POST", "upload"): "insert",  # also the start of a resumable one
    ("PUT", "upload"): "resumable",  # a part of one
    ("GET", "object"): "get",  # or "download"
    ("GET", "objects"): "list",
    ("DELETE", "object"): "delete",
    ("GET", "bucket"): "bucket",
}
UNSUPPORTED = {"ifGenerationNotMatch", "ifMetagenerationMatch", "ifMetagenerationNotMatch"}
WRITTEN_BY_EACH_SERVER = {"Content-Length", "Date", "Server"}


class Emulator:
    """One bucket of the emulator, with the generations and preconditions that it leaves out.

    The emulator serves one request at a time, so one lock costs nothing and makes each check and
    its write one step. Uploads of all kinds are collected here and handed over whole, because the
    emulator reads multipart bodies as e-mail, and refuses a part sent twice, which the real service
    ignores.
    """

    def __init__(self, name: str, folder: Path | None, url: str) -> None:
        self._objects_path = f"/storage/v1/b/{name}/o"
        self._uploads_path = f"/upload{self._objects_path}?uploadType=resumable"
        self.generations: dict[str, int] = {}
        self._name, self._folder, self._url = name, folder, url
        self._uploads: dict[str, Upload] = {}
        self._clock = itertools.count(time.time_ns() // 1000)
        self._lock = threading.Lock()

    def start(self) -> None:
        folder = str(self._folder.resolve()) if self._folder else None
        storage = Storage(use_memory_fs=not folder, data_dir=folder)
        create_bucket(self._name, storage)
        self._server = HTTPServer((HOST, 0), partial(RequestHandler, storage))
        self._thread = in_thread(self._server.serve_forever, POLL)
        if not folder:
            self._uploads.clear()
        found = json.loads(self._emulate("GET", self._objects_path).body)["items"]
        before = self.generations
        self.generations = {o["name"]: before.get(o["name"]) or next(self._clock) for o in found}

    def stop(self) -> None:
        with self._lock:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def read_request(self, method: str, path: str, headers: Message, body: bytes) -> Request:
        """What a request is about, before any fault and any work."""
        url = urlsplit(path)
        query = dict(parse_qsl(url.query))
        request = Request(time.monotonic(), method, path, len(body))
        request.query, request.headers, request.body = query, headers, body
        if not (where := ADDRESS.fullmatch(url.path)):
            return request
        what = "object" if where["name"] else "objects" if where["objects"] else "bucket"
        request.kind = KINDS.get((method, "upload" if where["area"] == "upload" else what), "other")
        if request.kind == "get" and (where["area"] or query.get("alt") == "media"):
            request.kind = "download"
        if request.kind == "insert":
            request.upload = Upload.of_insert(query, headers, body)
        elif request.kind == "resumable":
            request.upload = self._uploads.get(query.get("upload_id", ""))
        if request.upload:
            request.name = request.upload.name
        elif where["name"]:
            request.name = unquote(where["name"])
        permissions = [PERMISSIONS[request.kind]] if request.kind in PERMISSIONS else []
        if request.kind == "insert" and request.name in self.generations:
            permissions.append(PERMISSIONS["delete"])
        request.permissions = tuple(permissions)
        return request

    def answer(self, request: Request) -> Answer:
        work = {
            "insert": self._insert,
            "resumable": self._take_part,
            "get": self._one_object,
            "download": self._one_object,
            "delete": self._one_object,
            "list": self._list,
            "bucket": lambda request: self._emulate("GET", request.path),
        }
        where = ADDRESS.fullmatch(urlsplit(request.path).path)
        if not where or request.kind not in work or UNSUPPORTED & set(request.query):
            return error(501)
        if where["bucket"] != self._name:
            return error(404)
        with self._lock:
            return work[request.kind](request)

    def read(self) -> dict[str, bytes]:
        with self._lock:
            links = {name: self._link(name) for name in sorted(self.generations)}
            return {name: self._emulate("GET", link).body for name, link in links.items()}

    def put(self, name: str, content: bytes) -> None:
        with self._lock:
            self._store(Upload({"name": name}, content))

    def delete(self, name: str) -> None:
        with self._lock:
            del self.generations[name]
            self._emulate("DELETE", f"{self._objects_path}/{quote(name, safe='')}")

    def _insert(self, request: Request) -> Answer:
        upload = request.upload
        assert upload
        if request.query.get("uploadType") != "resumable":
            answer = self._store(upload)
            request.wrote = answer.status == 200
            return answer
        if refusal := self._refusal(upload.name, upload.if_generation):
            return refusal
        upload_id = secrets.token_hex(16)
        self._uploads[upload_id] = upload
        session = f"{self._url}{self._uploads_path}&upload_id={upload_id}"
        return Answer(200, headers={"Location": session})

    def _take_part(self, request: Request) -> Answer:
        """Takes what is new of a part; one without bytes asks how far the upload has come."""
        upload = request.upload
        if not upload:
            return error(404, "No such upload.")
        if upload.answer:
            return upload.answer
        assert isinstance(upload.content, bytearray)
        stated = request.headers.get("Content-Range", "")
        asked = re.fullmatch(r"bytes (?:\*|(\d+)-(?:\d+|\*))/(\*|\d+)", stated)
        start, total = asked.groups() if asked else (0, len(request.body))
        have = len(upload.content)
        if int(start or 0) > have:
            return error(400, f"The next byte is {have}, not {start}.")
        upload.content += memoryview(request.body)[have - int(start or 0) :]
        have = len(upload.content)
        if total == "*" or have < int(total):
            return Answer(308, headers={"Range": f"bytes=0-{have - 1}"} if have else {})
        if crc32c := re.search(r"crc32c=([^,\s]+)", request.headers.get("X-Goog-Hash", "")):
            upload.metadata["crc32c"] = crc32c[1]
        upload.answer = self._store(upload)
        upload.content = b""
        request.wrote = upload.answer.status == 200
        return upload.answer

    def _store(self, upload: Upload) -> Answer:
        """Writes the object if its precondition holds; the emulator refuses a wrong checksum."""
        if refusal := self._refusal(upload.name, upload.if_generation):
            return refusal
        address, metadata = self._uploads_path, json.dumps(upload.metadata).encode()
        answer = self._emulate("POST", address, metadata, "application/json")
        if answer.status == 200:
            parts = urlsplit(answer.headers["Location"])
            answer = self._emulate("PUT", f"{parts.path}?{parts.query}", upload.content)
        if answer.status != 200:
            return answer
        self.generations[upload.name] = next(self._clock)
        return json_answer(self._described(json.loads(answer.body)))

    def _one_object(self, request: Request) -> Answer:
        name = request.name or ""
        generation = str(self.generations.get(name, 0))
        if generation == "0" or request.query.get("generation", generation) != generation:
            return error(404, f"No such object: {self._name}/{name}")
        if refusal := self._refusal(name, request.query.get("ifGenerationMatch")):
            return refusal
        extent = request.headers.get("Range")
        answer = self._emulate(request.method, request.path, extent=extent)
        if answer.status >= 300:
            return answer
        if request.kind == "delete":
            del self.generations[name]
            request.wrote = True
            return Answer(204)
        if request.kind == "get":
            return json_answer(self._described(json.loads(answer.body)))
        headers = {**answer.headers, "X-Goog-Generation": generation, "X-Goog-Metageneration": "1"}
        return answer._replace(headers=headers)

    def _list(self, request: Request) -> Answer:
        answer = self._emulate("GET", request.path)
        if answer.status != 200:
            return answer
        listing = json.loads(answer.body)
        after, most = request.query.get("pageToken", ""), int(request.query.get("maxResults", 1000))
        items = [self._described(item) for item in listing["items"] if item["name"] > after]
        if len(items) > most:
            listing["nextPageToken"] = items[most - 1]["name"]
        return json_answer(listing | {"items": items[:most]})

    def _refusal(self, name: str, if_generation: str | None) -> Answer | None:
        met = if_generation is None or int(if_generation) == self.generations.get(name, 0)
        return None if met else error(412)

    def _link(self, name: str) -> str:
        return f"/download{self._objects_path}/{quote(name, safe='')}?alt=media"

    def _described(self, item: dict[str, Any]) -> dict[str, Any]:
        """The emulator's metadata with our generation, for its own is when the upload began."""
        name, generation = item["name"], self.generations[item["name"]]
        return item | {
            "id": f"{self._name}/{name}/{generation}",
            "generation": str(generation),
            "metageneration": "1",  # the emulator counts a write with metadata twice
            "mediaLink": f"{self._url}{self._link(name)}&generation={generation}",
        }

    def _emulate(
        self,
        method: str,
        path: str,
        body: bytes | bytearray | memoryview | None = None,
        content_type: str | None = None,
        extent: str | None = None,
    ) -> Answer:
        headers = {"Content-Type": content_type, "Range": extent}
        connection = http.client.HTTPConnection(HOST, self._server.server_port, timeout=30)
        try:
            connection.request(method, path, body, {k: v for k, v in headers.items() if v})
            response = connection.getresponse()
            kept = {k: v for k, v in response.headers.items() if k not in WRITTEN_BY_EACH_SERVER}
            return Answer(response.status, response.read(), kept)
        except ConnectionError:  # is how it says that it failed; clients would try for two minutes
            return error(501, f"The emulator cannot: {method} {path}")
        finally:
            connection.close()


def in_thread(function: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread
