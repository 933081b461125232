"""Tests of what connections may send, and for how long, with clients that are slow on purpose."""

import asyncio
import contextlib
import json
import selectors
import socket
import time
from collections.abc import Iterator
from typing import Annotated

import httpx
import pytest
from fastapi import Body, FastAPI
from fastapi.responses import PlainTextResponse

from sigmasight_api import deadlines
from sigmasight_api.deadlines import LARGEST_HEAD, MOST_PIPELINED, GuardedProtocol
from sigmasight_api.request_limits import Limits
from sigmasight_api.server import allow_many_descriptors
from tests.api.conftest import DEADLINE_SECONDS, listening, wait_until

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /y HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
# A trickle that goes on as long as it is let; what each connection has sent before it, and the status of its end.
TRICKLES = {
    "nothing": (b"", b"", None),
    "line ends": (b"\r\n", b"\r\n", None),
    "method": (b"G", b"E", 400),
    "target": (b"GET /", b"x", 408),
    "header": (GET + b"a: ", b"b", 408),
    "headers": (GET, b"a: b\r\n", 408),
    "body": (POST + b"Content-Length: 1000\r\n\r\n", b" ", 408),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 408),
    "chunk's size": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"0", 408),
    "trailers": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n", 408),
    "body after its answer": (POST.replace(b"/y", b"/z") + b"Content-Length: 1000\r\n\r\n", b" ", 404),
    "line ends after an answer": (GET + b"\r\n", b"\r\n", 200),
    "the next request": (GET + b"\r\n" + GET, b"a: b\r\n", 408),
}


class Impatient(GuardedProtocol):
    """The protocol with deadlines for tests."""

    receive_seconds = 0.6
    send_seconds = 0.6

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # So that little of an answer is the kernel's as soon as it is sent.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        super().connection_made(transport)


def application() -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.add_middleware(Limits)

    @app.get("/x")
    async def get() -> str:
        return "x"

    @app.post("/y")
    async def post(value: Annotated[dict[str, int], Body()]) -> int:
        return len(value)

    @app.get("/large/{size}")
    async def large(size: int) -> PlainTextResponse:
        return PlainTextResponse("x" * size)

    return app


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with listening(application(), http=Impatient) as url:
        yield "127.0.0.1", int(url.rpartition(":")[2])


@pytest.fixture(scope="module")
def patient_address() -> Iterator[tuple[str, int]]:
    """With the deadlines of production, which no test here reaches."""
    with listening(application()) as url:
        yield "127.0.0.1", int(url.rpartition(":")[2])


def received(connection: socket.socket) -> bytes:
    """Everything until the other side ends."""
    connection.settimeout(DEADLINE_SECONDS)
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def statuses(answer: bytes) -> list[int]:
    """The statuses of the answers on a connection; those of problems have their document."""
    found = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    if found and found[-1] >= 400 and b"problem+json" in answer:
        assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["status"] == found[-1]
    return found


@pytest.mark.fault(28)
@pytest.mark.parametrize("kind", TRICKLES)
def test_no_trickle_keeps_a_connection(address: tuple[str, int], kind: str) -> None:
    begin, more, status = TRICKLES[kind]
    with socket.create_connection(address) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(begin)
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            answer = b""
            deadline = time.monotonic() + DEADLINE_SECONDS
            while time.monotonic() < deadline:
                if selector.select(0.05):
                    part = connection.recv(65_536)
                    answer += part
                    if not part:
                        break
                connection.sendall(more)
            else:
                pytest.fail("the connection is still open")
    assert statuses(answer)[-1:] == [status] * (status is not None)


@pytest.mark.fault(28)
@pytest.mark.parametrize("count", [200, 1_000])
def test_half_open_requests_end_and_meanwhile_others_are_served(address: tuple[str, int], count: int) -> None:
    kinds = [TRICKLES[name][0] for name in ("nothing", "target", "header", "body", "chunks", "trailers")]
    allow_many_descriptors()
    slow: list[socket.socket] = []
    try:
        for number in range(count):
            slow.append(socket.create_connection(address))
            slow[-1].sendall(kinds[number % len(kinds)])
        with httpx.Client(base_url=f"http://{address[0]}:{address[1]}", timeout=DEADLINE_SECONDS) as http:
            for _ in range(20):
                assert http.get("/x").json() == "x"
                assert http.post("/y", json={"a": 1}).json() == 1
        for number, connection in enumerate(slow):
            assert statuses(received(connection)) == [408] * (number % len(kinds) > 0)
    finally:
        for connection in slow:
            connection.close()


def test_a_client_that_keeps_to_the_deadline_is_served_again_and_again(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as connection:
        connection.settimeout(DEADLINE_SECONDS)
        for _ in range(3):
            for part in (POST[:20], POST[20:], b'Content-Length: 8\r\n\r\n{"a"', b": 1}"):
                time.sleep(0.1)
                connection.sendall(part)
            assert connection.recv(65_536).endswith(b"\r\n\r\n1")


def test_a_body_that_ends_after_its_answer_leaves_nothing_open(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as connection:
        connection.settimeout(DEADLINE_SECONDS)
        connection.sendall(POST.replace(b"/y", b"/z") + b"Content-Length: 3\r\n\r\n")
        assert statuses(connection.recv(65_536)) == [404]
        # The line end has uvicorn wait no longer for the next request of an idle connection.
        connection.sendall(b"123\r\n")
        assert received(connection) == b""


# More than is sent at once, and so little that all of it counts as sent while it is not.
@pytest.mark.parametrize("size", [50_000_000, 50_000])
def test_a_client_that_does_not_take_its_answer_is_left(address: tuple[str, int], size: int) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(address)
        connection.sendall(b"GET /large/%d HTTP/1.1\r\nHost: x\r\n\r\n" % size)
        time.sleep(4 * Impatient.send_seconds)
        assert len(received(connection)) < size


def test_a_head_has_a_ceiling(patient_address: tuple[str, int]) -> None:
    rest = LARGEST_HEAD - len(b"/xHostxConnectionclosea")
    for value, status in ((b"v" * rest, 200), (b"v" * (rest + 1), 431)):
        with socket.create_connection(patient_address) as connection:
            connection.sendall(GET + b"a: " + value + b"\r\nConnection: close\r\n\r\n")
            assert statuses(received(connection)) == [status]


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /",
        GET + b"a: ",
        GET + b"a",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1;",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\na: ",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n" + b"a: b\r\n" * 50_000 + b"a: ",
    ],
)
def test_what_does_not_end_is_not_collected(patient_address: tuple[str, int], begin: bytes) -> None:
    with socket.create_connection(patient_address) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(begin)
            for _ in range(1_000):
                connection.sendall(b"x" * 65_536)
            pytest.fail("all was taken")
        assert statuses(received(connection)) in ([431], [])


@pytest.mark.parametrize(
    "begin",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /x HTTP/9.9\r\n\r\n",
        b"GET http:// HTTP/1.1\r\n\r\n",
        "GET /é HTTP/1.1\r\n\r\n".encode(),
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        GET + b"a\x00: b\r\n\r\n",
        GET + b"a: b\r\n\x00\r\n\r\n",
        GET + b"Content-Length: -1\r\n\r\n",
        GET + b"Content-Length: 1" + b"0" * 30 + b"\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    ],
)
def test_what_is_no_request_is_refused_at_once(patient_address: tuple[str, int], begin: bytes) -> None:
    with socket.create_connection(patient_address) as connection:
        connection.sendall(begin)
        assert statuses(received(connection)) == [400]


def test_pipelined_requests_are_answered_in_order_up_to_a_ceiling(patient_address: tuple[str, int]) -> None:
    last = GET + b"Connection: close\r\n\r\n"
    for count, expected in ((MOST_PIPELINED, [200] * (MOST_PIPELINED + 1)), (MOST_PIPELINED + 1, [])):
        with socket.create_connection(patient_address) as connection:
            connection.sendall((GET + b"\r\n") * count + last)
            assert statuses(received(connection)) == expected


def test_an_upgrade_is_not_made(patient_address: tuple[str, int]) -> None:
    with socket.create_connection(patient_address) as connection:
        connection.sendall(
            GET + b"Connection: upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert statuses(received(connection)) == [200]


def test_connections_have_a_ceiling(patient_address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "MOST_CONNECTIONS", 2)
    with socket.create_connection(patient_address) as first, socket.create_connection(patient_address) as second:
        for connection in (first, second):
            connection.sendall(GET + b"\r\n")
            assert statuses(connection.recv(65_536)) == [200]
        with socket.create_connection(patient_address) as third:
            answer = received(third)
            assert statuses(answer) == [503]
            assert b"retry-after: " in answer

    def is_served() -> bool:
        with socket.create_connection(patient_address) as connection:
            connection.sendall(GET + b"Connection: close\r\n\r\n")
            return statuses(received(connection)) == [200]

    wait_until(is_served)
