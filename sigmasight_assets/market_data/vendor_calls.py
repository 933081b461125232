"""What every HTTP call of a vendor's client is held to: its turn, its deadline, its host, a name for its failure.

The client libraries run unmodified; they are given these transports in place of their own. Which answers mean what for
a symbol is for the source that uses them.
"""

import json
import math
import queue
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from sigmasight_assets.market_data.turns import Turns, Unlimited

TOO_MANY, REFUSED = 429, (401, 403)
REDIRECTS = (301, 302, 303, 307, 308)
_NO_JSON = object()


class Failure(StrEnum):
    """Why a call brought no answer."""

    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    SERVER_ERROR = "server_error"
    REFUSED = "refused"
    REDIRECTED = "redirected"
    GARBAGE = "garbage"


class VendorCallError(OSError):
    """A call without an answer; ``retry_after`` in seconds when the vendor said when to come back.

    The message names neither the address nor anything sent with it: keys are in both. An ``OSError``, because the
    client libraries pass those on as they are.
    """

    def __init__(self, failure: Failure, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{failure.value}: {detail}")
        self.failure = failure
        self.detail = detail
        self.retry_after = retry_after


def garbage(detail: str) -> VendorCallError:
    """The error of an answer that makes no sense."""
    return VendorCallError(Failure.GARBAGE, detail)


@dataclass
class CallRules:
    """The rules of one vendor's calls; ``base_url`` sends all of them to another host, as tests and proxies need it.

    ``timeout`` in seconds holds for a whole call, from connecting to the last byte, however slowly they drip.
    """

    turns: Turns = field(default_factory=Unlimited)
    timeout: float = 10.0
    base_url: str = ""
    calls: int = 0

    def address(self, url: str) -> str:
        """Where a call to the URL goes."""
        if not self.base_url:
            return url
        base, asked = urlsplit(self.base_url), urlsplit(url)
        return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + asked.path, asked.query, ""))

    @contextmanager
    def call(self) -> Iterator[None]:
        """The time of one call: waits for its turn, ends it at its deadline, and names what goes wrong."""
        self.turns.wait()
        self.calls += 1
        with _deadline(self.timeout) as watch:
            try:
                yield
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                if isinstance(error, VendorCallError):
                    raise
                if watch.is_over:
                    raise VendorCallError(Failure.TIMEOUT, f"no answer within {self.timeout:g} s") from None
                raise _named(error) from None
            if watch.is_over:
                # A body without a stated length ends like a whole one when it is cut.
                raise VendorCallError(Failure.TIMEOUT, f"no answer within {self.timeout:g} s")

    def judge(self, status: int, headers: Any) -> None:
        """Raise ``VendorCallError`` for a status that is no answer; 404 and the like are answers."""
        if status == TOO_MANY:
            after = _seconds(headers.get("Retry-After"))
            raise VendorCallError(Failure.RATE_LIMITED, "the vendor wants fewer calls (429)", retry_after=after)
        if status in REDIRECTS:
            raise VendorCallError(Failure.REDIRECTED, f"the vendor redirects elsewhere ({status}), not followed")
        if status in REFUSED:
            raise VendorCallError(Failure.REFUSED, f"the vendor refuses access ({status})")
        if status >= 500:
            raise VendorCallError(Failure.SERVER_ERROR, f"the vendor failed ({status})")


class GuardedSession(requests.Session):
    """A ``requests`` session under the rules: no redirects, no retries, bodies read whole before the deadline."""

    def __init__(self, rules: CallRules) -> None:
        super().__init__()
        self.rules = rules
        self.trust_env = False
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(max_retries=0))

    def request(self, method: str, url: str, **arguments: Any) -> requests.Response:  # type: ignore[override]
        """One call; a caller's own timeout and wish to follow redirects count for nothing."""
        rules = self.rules
        arguments |= {"timeout": rules.timeout, "allow_redirects": False, "stream": False}
        with rules.call():
            response = super().request(method, rules.address(str(url)), **arguments)
        self.judge(str(url), response)
        return response

    def judge(self, url: str, response: requests.Response) -> None:  # noqa: ARG002
        """Raise what the status calls for; sources whose vendor has statuses of its own know better."""
        self.rules.judge(response.status_code, response.headers)


class GuardedPool(urllib3.PoolManager):
    """A ``urllib3`` pool under the same rules."""

    def __init__(self, rules: CallRules, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.rules = rules
        self.pool_classes_by_scheme = _POOLS

    def urlopen(  # type: ignore[override]
        self,
        method: str,
        url: str,
        redirect: bool = True,  # noqa: ARG002
        **arguments: Any,
    ) -> urllib3.BaseHTTPResponse:
        """One call, its body read whole."""
        rules = self.rules
        arguments |= {"timeout": rules.timeout, "retries": False, "preload_content": True}
        with rules.call():
            response = super().urlopen(method, rules.address(url), redirect=False, **arguments)
        rules.judge(response.status, response.headers)
        return response


def json_object(text: bytes | str) -> dict[str, Any]:
    """The JSON object of an answer; ``VendorCallError`` when it is anything else, such as a page or half an answer."""
    parsed: Any = _NO_JSON
    # Raised from here, an error would hold on to the whole text, which may repeat a key.
    with suppress(ValueError, RecursionError):
        parsed = json.loads(text)
    if parsed is _NO_JSON:
        raise garbage("the answer is not JSON")
    if not isinstance(parsed, dict):
        raise garbage("the answer is not a JSON object")
    return parsed


def _named(error: Exception) -> VendorCallError:
    timeouts = requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError
    # urllib3 counts lines that are refused among its timeouts.
    if isinstance(error, timeouts) and not isinstance(error, urllib3.exceptions.NewConnectionError):
        return VendorCallError(Failure.TIMEOUT, "no answer in time")
    if isinstance(error, requests.exceptions.ContentDecodingError | urllib3.exceptions.DecodeError):
        return garbage("the answer cannot be decoded")
    return VendorCallError(Failure.UNREACHABLE, f"the connection failed ({type(error).__name__})")


def _seconds(retry_after: str | None) -> float | None:
    """The header's seconds, or those until its date; None when it says neither."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


class _Watch:
    """Cuts the connections of one thread's call when its time is over: a blocked read returns at once."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.is_over = False
        self._lines: list[socket.socket] = []
        self._lock = threading.Lock()

    def add(self, line: socket.socket) -> None:
        # A handle of its own: the library closes the connection's when it is not kept, and reads on.
        with self._lock:
            self._lines.append(line.dup())
            if self.is_over:
                _cut(line)

    def end(self) -> None:
        with self._lock:
            self.is_over = True
            for line in self._lines:
                _cut(line)

    def close(self) -> None:
        with self._lock:
            for line in self._lines:
                line.close()
            self._lines.clear()


_CURRENT = threading.local()


@contextmanager
def _deadline(seconds: float) -> Iterator[_Watch]:
    """The libraries' own timeouts start anew with every byte; this one does not."""
    watch = _Watch(seconds)
    timer = threading.Timer(seconds, watch.end)
    timer.daemon = True
    _CURRENT.watch = watch
    timer.start()
    try:
        yield watch
    finally:
        timer.cancel()
        _CURRENT.watch = None
        watch.close()


def _cut(line: socket.socket) -> None:
    # It may have ended by itself.
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _connected(host: str, port: int, options: Iterable[tuple[Any, ...]]) -> socket.socket:
    """A line to the first address of the host that answers; the deadline is one for all of them and for their look-up.

    The library's own deadline starts anew with every address, and a look-up has none.
    """
    watch = _CURRENT.watch
    failed: OSError = OSError("the host has no address")
    for family, kind, protocol, _, address in _addresses(host, port, watch.ends):
        line = socket.socket(family, kind, protocol)
        try:
            for option in options:
                line.setsockopt(*option)
            line.settimeout(max(watch.ends - time.monotonic(), 0.001))
            line.connect(address)
        except OSError as error:
            line.close()
            failed = error
            if time.monotonic() >= watch.ends:
                raise TimeoutError from None
        else:
            return line
    raise failed


def _addresses(host: str, port: int, ends: float) -> list[Any]:
    """A look-up cannot be cut short, only left to itself."""
    found: queue.SimpleQueue[list[Any] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            found.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        answer = found.get(timeout=max(ends - time.monotonic(), 0.001))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer


class _Watched:
    """A connection that its thread's watch can cut, also while it is being encrypted or used again."""

    _line: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        try:
            connected = _connected(self._dns_host, self.port, self.socket_options or ())  # type: ignore[attr-defined]
        except TimeoutError:
            raise urllib3.exceptions.ConnectTimeoutError("no connection in time") from None
        except OSError as error:
            raise urllib3.exceptions.NewConnectionError(self, type(error).__name__) from None  # type: ignore[arg-type]
        # Encryption takes the socket itself away.
        self._line = connected.dup()
        self._show()
        return connected

    def request(self, *arguments: Any, **options: Any) -> None:
        """Show the watch a connection that is kept from an earlier call."""
        self._show()
        super().request(*arguments, **options)  # type: ignore[misc]

    def close(self) -> None:
        """Close both handles of the connection."""
        super().close()  # type: ignore[misc]
        if self._line is not None:
            self._line.close()
            self._line = None

    def _show(self) -> None:
        watch = getattr(_CURRENT, "watch", None)
        if watch is not None and self._line is not None:
            watch.add(self._line)


class _PlainConnection(_Watched, HTTPConnection):
    pass


class _SecureConnection(_Watched, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _PlainPool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS
