"""A Google Cloud Storage on one machine: it behaves as the real one, and fails on command."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import itertools
import json
import re
import secrets
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

HOST = "127.0.0.1"
POLL = 0.02  # seconds; how soon a server notices that it should stop
ACCOUNT = "trainer@test.iam.gserviceaccount.com"
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
PERMISSIONS = {  # a part of an upload needs none: its address is secret
    "insert": "storage.objects.create",
    "get": "storage.objects.get",
    "download": "storage.objects.get",
    "list": "storage.objects.list",
    "delete": "storage.objects.delete",
    "bucket": "storage.buckets.get",
}
UNSUPPORTED = {"ifGenerationNotMatch", "ifMetagenerationMatch", "ifMetagenerationNotMatch"}
WRITTEN_BY_EACH_SERVER = {"Content-Length", "Date", "Server"}
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


class FaultyStorage:
    """gcp-storage-emulator behind a proxy that keeps generations and preconditions, and that fails
    on command.

    Args:
        folder: keeps the objects on disk, where they survive `restart`; else they are in memory.
        latency: seconds before each request is served.
    """

    bucket = "bucket"
    url: str  # for STORAGE_EMULATOR_HOST

    def __init__(self, *, folder: Path | None = None, latency: float = 0.0) -> None:
        self.latency = latency
        self.requests: list[Request] = []
        self.interruption = threading.Event()  # of the connections made since the last `up`
        self._faults: list[Fault] = []
        self._news = threading.Condition()
        self._folder = folder

    def __enter__(self) -> FaultyStorage:
        self._proxy = Proxy(self)
        self.url = f"http://{HOST}:{self._proxy.server_port}"
        self.emulator = Emulator(self.bucket, self._folder, self.url)
        self.emulator.start()
        self._proxy.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.down()
        self._proxy.stop()
        self.emulator.stop()

    def add(self, fault: Fault) -> Fault:
        with self._news:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._news:
            self._faults.clear()

    def down(self) -> None:
        """Cuts every connection, and every new one at once, until `up`.

        The proxy goes on listening, or another process might get the port.
        """
        self.interruption.set()
        self._proxy.cut_connections()

    def up(self) -> None:
        self.interruption = threading.Event()

    def restart(self) -> None:
        """Loses what is in memory; with a folder, even uploads in parts go on."""
        self.down()
        self.emulator.stop()
        self.emulator.start()
        self.up()

    def wait_for(self, predicate: Callable[[Request], bool], timeout: float) -> Request:
        """The first request in the log that matches, in flight or answered, once there is one."""
        with self._news:
            if self._news.wait_for(lambda: any(map(predicate, self.requests)), timeout):
                return next(filter(predicate, self.requests))
        raise TimeoutError(f"No such request in {timeout} s. The last: {self.requests[-5:]}")

    def writes(self, name: str) -> list[float]:
        """When the object was made, replaced, deleted; the real service bears one a second."""
        return [r.time for r in self.requests if r.wrote and r.name == name]

    def objects(self) -> dict[str, bytes]:
        return self.emulator.read()

    def put(self, name: str, data: bytes) -> None:
        self.emulator.put(name, data)

    def delete(self, name: str) -> None:
        self.emulator.delete(name)

    def generation(self, name: str) -> int:
        """0 where there is no object, as in a precondition."""
        return self.emulator.generations.get(name, 0)

    def arrived(self, request: Request) -> Fault:
        """Logs the request and says how it fails: `Fault()` is no fault."""
        with self._news:
            self.requests.append(request)
            self._news.notify_all()
            return next((fault for fault in self._faults if fault.is_due(request)), Fault())

    def ended(self, request: Request, status: int | str) -> None:
        with self._news:
            request.status = request.status or status
            request.body, request.upload = b"", None
            self._news.notify_all()


class Proxy(ThreadingHTTPServer):
    """Knows its threads and connections, so that it can end them."""

    request_queue_size = 128  # with the usual 5, a handful of clients wait a second for each other

    def __init__(self, storage: FaultyStorage) -> None:
        super().__init__((HOST, 0), Connection)
        self.storage = storage
        self.connections: set[socket.socket] = set()
        self.threads: list[threading.Thread] = []

    def start(self) -> None:
        self.threads.append(in_thread(self.serve_forever, POLL))

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for thread in self.threads:
            thread.join(5)

    def cut_connections(self) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):  # it has just ended by itself
                connection.shutdown(socket.SHUT_RDWR)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        if is_down := self.storage.interruption.is_set():
            reset_on_close(request)
        return not is_down

    def process_request(self, request: Any, client_address: Any) -> None:
        serve = self.process_request_thread
        self.threads.append(in_thread(serve, request, client_address))

    def shutdown_request(self, request: Any) -> None:
        self.close_request(request)  # without the usual FIN, which makes a reset an orderly end

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    """Serves one connection's requests, one after another, with their faults."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def setup(self) -> None:
        super().setup()
        self.interruption = self.server.storage.interruption
        self.server.connections.add(self.connection)
        if self.interruption.is_set():  # too late for `cut_connections` to have seen it
            self.connection.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def serve(self) -> None:
        storage = self.server.storage
        body = self.read_body()
        request = storage.emulator.read_request(self.command, self.path, self.headers, body)
        fault = storage.arrived(request)
        try:
            self.wait(storage.latency + fault.delay, then_end=fault.reset)
            if fault.status:
                answer = fault.error(fault.status, request)
            else:
                answer = storage.emulator.answer(request)
            if fault.stall:
                storage.ended(request, "stalled")
            self.wait(fault.stall, then_end=fault.lose_answer)
        except ConnectionError:
            storage.ended(request, "reset")
            reset_on_close(self.connection)
            raise
        storage.ended(request, answer.status)  # before the client can look at the log
        self.send(answer, corrupt=fault.corrupt, cut=fault.cut)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def wait(self, seconds: float, *, then_end: bool) -> None:
        if self.interruption.wait(seconds) or then_end:
            raise ConnectionAbortedError

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(chunks)
        else:
            size = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(size)
            if len(body) < size:
                raise ConnectionAbortedError
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def send(self, answer: Answer, *, corrupt: bool, cut: bool) -> None:
        body = bytearray(answer.body) if corrupt else answer.body
        if isinstance(body, bytearray) and body and answer.status < 300:
            body[len(body) // 2] ^= 1
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(memoryview(body)[: len(body) // 2] if cut else body)
        self.close_connection |= cut

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing; the log is `requests`."""


def in_thread(function: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def reset_on_close(connection: socket.socket) -> None:
    """RST rather than FIN, as from a peer that crashed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
