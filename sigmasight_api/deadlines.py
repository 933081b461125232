"""What a connection may send, and for how long: uvicorn has neither a limit on heads nor a deadline for requests.

Whoever sends a byte now and then would otherwise keep a connection for ever. Limits on whole requests are in
``request_limits``.
"""

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from sigmasight_api.errors import Problem, unavailable

LARGEST_HEAD = 32_768
MOST_CONNECTIONS = 4_000
MOST_PIPELINED = 16


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a deadline for each request and ceilings for heads, connections and pipelined requests."""

    # From the connection, the previous answer or the first byte, to the last byte of the body.
    receive_seconds: ClassVar[float] = 20.0
    # For a client to take what was sent.
    send_seconds: ClassVar[float] = 60.0

    _request_timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None
    _problem: Problem | None = None
    _is_begun = False
    _is_in_head = False
    # Bytes since the parser last reported more than single headers, which it collects to any size.
    _unreported = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, or refuse a connection too many."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(unavailable("There are too many connections at the moment; try again shortly."))
        else:
            self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, unless the connection ends."""
        if self.transport.is_closing():
            return
        self._unreported += len(data)
        super().data_received(data)
        if self._unreported > LARGEST_HEAD and not self.transport.is_closing():
            self._refuse(_head_too_large())

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._unreported = 0
        self._is_begun = self._is_in_head = True
        if self._request_timer is None:
            self._wait_for_request()

    def on_headers_complete(self) -> None:
        """Judge the head; what is raised here ends in ``send_400_response``."""
        self._unreported = 0
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > LARGEST_HEAD:
            self._problem = _head_too_large()
        if len(self.pipeline) >= MOST_PIPELINED:
            self._problem = Problem(400, "Wait for answers before sending more requests.")
        if self._problem is not None:
            raise ValueError(self._problem.detail)
        super().on_headers_complete()
        self._is_in_head = False

    def on_body(self, body: bytes) -> None:
        """A part of a body; headers may follow it too."""
        self._unreported = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        super().on_message_complete()
        self._unreported = 0
        self._is_begun = False
        self._stop_waiting()
        if self.cycle is not None and self.cycle.response_complete:
            self._wait_for_request()

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is here."""
        is_next_here = bool(self.pipeline)
        super().on_response_complete()
        if self._request_timer is None and not is_next_here:
            self._wait_for_request()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser or ``on_headers_complete`` did not take."""
        self._refuse(self._problem or Problem(400, msg))

    def pause_writing(self) -> None:
        """The client does not take its answer."""
        super().pause_writing()
        self._answer_timer = self.loop.call_later(self.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def timeout_keep_alive_handler(self) -> None:
        """No next request came."""
        self._end()

    def _wait_for_request(self) -> None:
        self._request_timer = self.loop.call_later(self.receive_seconds, self._request_is_late)

    def _stop_waiting(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _request_is_late(self) -> None:
        self._request_timer = None
        if self._is_begun:
            self._refuse(Problem(408, f"The request was not complete within {self.receive_seconds:g} s."))
        else:
            self._end()

    def _refuse(self, problem: Problem) -> None:
        """Answer with the problem where no other answer has begun, and end the connection."""
        cycle: RequestResponseCycle | None = self.cycle
        if self._may_answer():
            body = problem.body()
            headers = [*self.server_state.default_headers, *problem.all_headers(len(body)), (b"connection", b"close")]
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[problem.status] + lines + b"\r\n" + body)
        if cycle is not None:
            # The application must not answer after this.
            cycle.disconnected = True
            cycle.message_event.set()
        self._end()

    def _may_answer(self) -> bool:
        """Whether the next byte to the client begins the answer to the request that is being received."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None:
            return True
        is_in_body = self._is_begun and not self._is_in_head
        is_free = not cycle.response_started if is_in_body else cycle.response_complete
        return is_free and not self.pipeline

    def _end(self) -> None:
        """Close once everything is sent, but do not wait for a client that does not take it."""
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.close()
            self.loop.call_later(self.send_seconds, self.transport.abort)


def _head_too_large() -> Problem:
    return Problem(431, f"The head of a request may have {LARGEST_HEAD} bytes.")
