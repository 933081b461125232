"""A vendor's stand-in: a threaded HTTP server on loopback that misbehaves per key and per call as it is told.

What a good answer is comes from the vendor's own module (``yahoo``, ``polygon``); README.md shows the use.
"""

import json
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

LOOPBACK = "127.0.0.1"
PAGE = b"<!DOCTYPE html><html><body>Please enable JavaScript to continue.</body></html>"


@dataclass(frozen=True)
class Page:
    """An answer as it would be sent: ``body`` is bytes, or anything that JSON can state."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    @property
    def content(self) -> bytes:
        """The body's bytes; NaN and Infinity are written as Python writes them."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Request:
    """A request that was received; ``when`` is ``time.monotonic()`` of its arrival."""

    when: float
    key: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


# The key under which a request is scripted, and its good answer.
Routes = Callable[[str, Mapping[str, str]], tuple[str, Page]]


@dataclass
class Exchange:
    """One request under way: the good answer and the line on which something is sent."""

    good: Page
    line: socket.socket
    closing: threading.Event
    # Whether the line may carry another request after this one.
    is_kept: bool = False

    def send(self, page: Page) -> None:
        """Send a page whole."""
        self.line.sendall(self.head(page) + page.content)
        self.is_kept = True

    def head(self, page: Page, length: int | None = None) -> bytes:
        """The page's status line and headers, with the body's length or a false one."""
        stated = len(page.content) if length is None else length
        headers = {"Content-Type": page.content_type, "Content-Length": str(stated), **page.headers}
        lines = [f"HTTP/1.1 {page.status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode()

    def drip(self, content: bytes, seconds: float) -> None:
        """One byte after the other, with a pause before each."""
        for byte in content:
            if self.closing.wait(seconds):
                return
            self.line.sendall(bytes([byte]))


Behaviour = Callable[[Exchange], None]


def good(exchange: Exchange) -> None:
    """The good answer."""
    exchange.send(exchange.good)


def status(code: int, *, retry_after: str | None = None, body: Any = b"") -> Behaviour:
    """An answer of this status, such as 429 or 500."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return lambda exchange: exchange.send(Page(body, code, headers, "text/plain"))


def silence(exchange: Exchange) -> None:
    """Nothing, until the server is closed."""
    exchange.closing.wait()


def reset(exchange: Exchange) -> None:
    """The connection is reset."""
    exchange.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def slow_body(seconds: float = 0.1) -> Behaviour:
    """The good answer, its body byte after byte."""

    def drip(exchange: Exchange) -> None:
        exchange.line.sendall(exchange.head(exchange.good))
        exchange.drip(exchange.good.content, seconds)

    return drip


def slow_headers(seconds: float = 0.1) -> Behaviour:
    """The good answer, all of it byte after byte."""
    return lambda exchange: exchange.drip(exchange.head(exchange.good) + exchange.good.content, seconds)


def html(exchange: Exchange) -> None:
    """A web page with status 200."""
    exchange.send(Page(PAGE, content_type="text/html"))


def truncated_json(exchange: Exchange) -> None:
    """Half of the good body, stated as the whole."""
    content = exchange.good.content
    exchange.send(Page(content[: len(content) // 2]))


def truncated_transfer(exchange: Exchange) -> None:
    """Half of the good body, and the connection ends."""
    content = exchange.good.content
    exchange.line.sendall(exchange.head(exchange.good) + content[: len(content) // 2])


def redirect(address: str, code: int = 302) -> Behaviour:
    """Go elsewhere; a second stand-in at that address shows whether anybody did."""
    return lambda exchange: exchange.send(Page(b"", code, {"Location": address}))


def sends(body: Any, code: int = 200) -> Behaviour:
    """Another body than the good one."""
    return lambda exchange: exchange.send(Page(body, code))


def altered(change: Callable[[Any], Any]) -> Behaviour:
    """The good answer after ``change``, which gets a copy of its JSON and returns what to send."""
    return lambda exchange: exchange.send(Page(change(json.loads(exchange.good.content)), exchange.good.status))


class StandIn:
    """A server that is up: where it is, what it was asked, what it is to do."""

    def __init__(self, routes: Routes) -> None:
        self.routes = routes
        self.default: Behaviour = good
        self.requests: list[Request] = []
        self.url = ""
        self.closing = threading.Event()
        self._scripts: dict[str, deque[Behaviour]] = {}
        self._lock = threading.Lock()

    def script(self, key: str, *behaviours: Behaviour) -> None:
        """What the next calls about a key meet, one after the other; the last one stays."""
        with self._lock:
            self._scripts[key] = deque(behaviours)

    def asked(self, key: str) -> list[Request]:
        """The requests about one key."""
        return [request for request in self.requests if request.key == key]

    def most_within(self, seconds: float) -> int:
        """The largest number of requests that came within a time of this length, its end excluded."""
        times = sorted(request.when for request in self.requests)
        return max((sum(start <= when < start + seconds for when in times) for start in times), default=0)

    def receive(self, method: str, target: str, headers: Mapping[str, str]) -> tuple[Page, Behaviour]:
        """Record a request; its good answer and what to do with it."""
        when, url = time.monotonic(), urlsplit(target)
        path, query = unquote(url.path), dict(parse_qsl(url.query, keep_blank_values=True))
        key, page = self.routes(path, query)
        with self._lock:
            self.requests.append(Request(when, key, method, path, query, headers))
            script = self._scripts.get(key)
            if not script:
                return page, self.default
            return page, script.popleft() if len(script) > 1 else script[0]


@contextmanager
def stand_in(routes: Routes) -> Iterator[StandIn]:
    """A stand-in for the block; after it no thread and no connection of it is left."""
    vendor = StandIn(routes)
    server = _Server(vendor)
    vendor.url = f"http://{LOOPBACK}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield vendor
    finally:
        vendor.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    # Its end waits for the threads of the requests.
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, vendor: StandIn) -> None:
        self.vendor = vendor
        self.lines: set[socket.socket] = set()
        super().__init__((LOOPBACK, 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.lines.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        # A line that is shut down before it is closed ends politely, also when it is to be reset.
        self.lines.discard(request)
        self.close_request(request)

    def server_close(self) -> None:
        for line in list(self.lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # That the client has gone is no news; anything else is a mistake of the stand-in.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        vendor = self.server.vendor
        page, behaviour = vendor.receive(self.command, self.path, dict(self.headers))
        exchange = Exchange(page, self.connection, vendor.closing)
        with suppress(ConnectionError):
            behaviour(exchange)
        self.close_connection = self.close_connection or not exchange.is_kept

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""
