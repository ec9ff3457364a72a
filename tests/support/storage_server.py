"""A Google Cloud Storage on one machine: it behaves as the real one, and fails on command."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.storage_emulator import HOST, POLL, Emulator, in_thread
from tests.support.storage_faults import Fault
from tests.support.storage_messages import Answer, Request


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
            if fault.together is not None:
                fault.together.wait()
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


def reset_on_close(connection: socket.socket) -> None:
    """RST rather than FIN, as from a peer that crashed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
