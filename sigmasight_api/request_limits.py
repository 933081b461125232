"""Limits on requests, judged before anything of them is kept: the ASGI layer around the application.

What a connection may send, and for how long, before there is a request is in ``deadlines``. The ceilings are in
``docs/deployment.md``.
"""

import logging
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sigmasight_api.errors import Problem, problem_of, unavailable
from sigmasight_api.logs import described

logger = logging.getLogger(__name__)

MIB = 2**20
LARGEST_TARGET = 16_384
MOST_QUERY_VALUES = 200
LARGEST_BODY = MIB
LARGEST_UPLOAD = 8 * MIB
UPLOADS = (b"text/csv", b"multipart/form-data")
# Of all requests together.
MOST_REQUESTS = 2_000
MOST_HELD = 32 * MIB


class Limits:
    """Refuses what is too large or too much, and answers errors that nothing else has answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running = 0
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = _refusal(scope)
        if problem is None and self._running >= MOST_REQUESTS:
            problem = unavailable("There are too many requests at the moment; try again shortly.")
        if problem is not None:
            await _answer(send, problem, ends_connection=True)
            return
        exchange = _Exchange(self, receive, send, largest=largest_body(scope["headers"]))
        self._running += 1
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - the last resort
            if not exchange.is_cut_off:
                logger.error("%s %r: %s", scope["method"], scope["path"], described(error))  # noqa: TRY400 - see logs
            await exchange.answer(problem_of(error))
        finally:
            self._running -= 1
            self._held -= exchange.held

    def hold(self, size: int) -> bool:
        """Count bytes of a body that are kept until its request ends; whether there is room for them."""
        self._held += size
        return self._held <= MOST_HELD


class _Exchange:
    """One request and its answer. A body that turns out too large is cut off, and its answer is replaced."""

    def __init__(self, limits: Limits, receive: Receive, send: Send, *, largest: int) -> None:
        self.held = 0
        self.is_cut_off = False
        self._limits = limits
        self._receive = receive
        self._send = send
        self._largest = largest
        self._refused: Problem | None = None
        self._is_begun = False
        self._is_replaced = False

    async def receive(self) -> Message:
        """The next part of the body; "disconnected" once there was too much of it."""
        message: Message = {"type": "http.disconnect"}
        if self._refused is None:
            message = await self._receive()
            self._refused = self._count(len(message.get("body", b"")))
        self.is_cut_off = self._refused is not None or message["type"] == "http.disconnect"
        return {"type": "http.disconnect"} if self.is_cut_off else message

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on, or in place of the first the reason why the body was refused."""
        if self._is_replaced:
            return
        if self._refused is not None and not self._is_begun:
            await self.answer(self._refused)
            return
        self._is_begun = True
        await self._send(message)

    async def answer(self, problem: Problem) -> None:
        """Say why the body was refused, else the problem; an answer that was begun ends incomplete instead."""
        if not self._is_begun:
            self._is_begun = self._is_replaced = True
            await _answer(self._send, self._refused or problem, ends_connection=self._refused is not None)

    def _count(self, size: int) -> Problem | None:
        self.held += size
        has_room = self._limits.hold(size)
        if self.held > self._largest:
            return _too_large(self._largest)
        return None if has_room else unavailable("Too much is being uploaded at the moment; try again shortly.")


def largest_body(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """How many bytes the body of a request may have: more for files than for JSON."""
    return LARGEST_UPLOAD if _header(headers, b"content-type").lower().startswith(UPLOADS) else LARGEST_BODY


def _refusal(scope: Scope) -> Problem | None:
    """Why the head of a request is refused, or None."""
    headers = scope["headers"]
    query = scope["query_string"]
    if len(scope["raw_path"]) + len(query) > LARGEST_TARGET:
        return Problem(414, f"Path and query may have {LARGEST_TARGET} bytes.")
    if query.count(b"&") >= MOST_QUERY_VALUES:
        return Problem(400, f"A query may have {MOST_QUERY_VALUES} values.")
    if _header(headers, b"content-encoding").lower() not in (b"", b"identity"):
        return Problem(415, "Bodies must not be compressed.", {"Accept-Encoding": "identity"})
    largest = largest_body(headers)
    # The server has checked that it is a number.
    return _too_large(largest) if int(_header(headers, b"content-length") or 0) > largest else None


def _too_large(largest: int) -> Problem:
    return Problem(413, f"The body may have {largest} bytes.")


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    return next((value for name, value in headers if name == wanted), b"")


async def _answer(send: Send, problem: Problem, *, ends_connection: bool) -> None:
    body = problem.body()
    headers = [*problem.all_headers(len(body)), *([(b"connection", b"close")] if ends_connection else [])]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
