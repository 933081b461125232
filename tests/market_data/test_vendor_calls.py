"""Calls of both transports against a stand-in: turns, deadlines, hosts, and the names of their failures."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import urlsplit

import pytest

from sigmasight_assets.market_data.vendor_calls import (
    CallRules,
    Failure,
    GuardedPool,
    GuardedSession,
    VendorCallError,
    json_object,
)
from tests.vendors import server
from tests.vendors.server import Behaviour, Page, StandIn, stand_in

SECRET = "s3cret"
# Enough for an answer from a machine that is busy with something else; a test of timeouts says that it is in haste.
PATIENCE = 15.0
HASTE = 0.5
# What a call may last beyond its timeout, and far less than any of the behaviours.
GRACE = 5.0
ANSWER = {"values": list(range(50))}


def routes(path: str, query: Mapping[str, str]) -> tuple[str, Page]:  # noqa: ARG001
    return path, Page(ANSWER)


@dataclass
class CountedTurns:
    waits: int = 0
    slowed: list[float] = field(default_factory=list)

    def wait(self) -> None:
        self.waits += 1

    def slow_down(self, seconds: float) -> None:
        self.slowed.append(seconds)


@pytest.fixture
def vendor() -> Iterator[StandIn]:
    with stand_in(routes) as running:
        yield running


Call = Callable[[str], bytes]
Transport = Callable[[CallRules], Call]


def by_session(rules: CallRules) -> Call:
    session = GuardedSession(rules)

    def call(url: str) -> bytes:
        # A client's own ideas of timeouts and redirects count for nothing.
        content: bytes = session.get(url, timeout=600, allow_redirects=True, stream=True).content
        return content

    return call


def by_pool(rules: CallRules) -> Call:
    pool = GuardedPool(rules, retries=5, timeout=600)
    return lambda url: bytes(pool.request("GET", url, headers={"Authorization": SECRET}).data)


@pytest.fixture(params=[by_session, by_pool])
def transport(request: pytest.FixtureRequest) -> Transport:
    built: Transport = request.param
    return built


@pytest.fixture
def rules(vendor: StandIn) -> CallRules:
    return CallRules(base_url=vendor.url, timeout=PATIENCE, turns=CountedTurns())


@pytest.fixture
def call(transport: Transport, rules: CallRules) -> Call:
    return transport(rules)


@pytest.fixture
def hasty(rules: CallRules) -> None:
    rules.timeout = HASTE


URL = f"https://vendor.invalid/prices?apiKey={SECRET}"


def failure_of(call: Call, url: str = URL) -> VendorCallError:
    """The error of a call, which ends in time and says nothing of what was sent."""
    begun = time.monotonic()
    with pytest.raises(VendorCallError) as caught:
        call(url)
    if caught.value.failure is Failure.TIMEOUT:
        assert time.monotonic() - begun < HASTE + GRACE
    chain: BaseException | None = caught.value
    while chain is not None:
        assert SECRET not in str(chain)
        assert "127.0.0.1" not in str(chain)
        chain = chain.__cause__
    return caught.value


class TestAnswers:
    def test_a_call_goes_to_the_base_with_its_own_path_and_query(
        self, call: Call, vendor: StandIn, rules: CallRules
    ) -> None:
        assert json_object(call("https://vendor.invalid/v1/prices?first=1&last=2%203")) == ANSWER
        (request,) = vendor.requests
        assert (request.path, request.query) == ("/v1/prices", {"first": "1", "last": "2 3"})
        rules.base_url = f"{vendor.url}/mirror/"
        call("https://vendor.invalid/v1/prices")
        assert vendor.requests[-1].path == "/mirror/v1/prices"
        assert (rules.calls, rules.turns) == (2, CountedTurns(waits=2))

    @pytest.mark.parametrize("status", [200, 400, 404, 422])
    def test_these_are_answers(self, call: Call, vendor: StandIn, status: int) -> None:
        vendor.script("/prices", server.sends(ANSWER, status))
        assert json_object(call(URL)) == ANSWER

    def test_the_machines_proxy_is_not_asked(
        self, transport: Transport, rules: CallRules, vendor: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "")
        transport(rules)(URL)
        assert len(vendor.requests) == 1

    def test_lines_are_kept_and_deadlines_hold_on_them(self, call: Call, vendor: StandIn, rules: CallRules) -> None:
        vendor.script("/prices", server.good, server.good, server.slow_body(0.05))
        call(URL)
        call(URL)
        rules.timeout = HASTE
        assert failure_of(call).failure is Failure.TIMEOUT
        rules.timeout = PATIENCE
        vendor.script("/prices", server.good)
        assert json_object(call(URL)) == ANSWER

    def test_an_answer_that_drips_fast_enough_is_whole(self, call: Call, vendor: StandIn) -> None:
        vendor.script("/prices", server.slow_body(0.001))
        assert json_object(call(URL)) == ANSWER


class TestFailures:
    @pytest.mark.parametrize(
        ("behaviour", "failure"),
        [
            (server.silence, Failure.TIMEOUT),
            (server.slow_body(0.05), Failure.TIMEOUT),
            (server.slow_headers(0.05), Failure.TIMEOUT),
            (server.reset, Failure.UNREACHABLE),
            (server.truncated_transfer, Failure.UNREACHABLE),
            (server.status(500), Failure.SERVER_ERROR),
            (server.status(503), Failure.SERVER_ERROR),
            (server.status(401), Failure.REFUSED),
            (server.status(403), Failure.REFUSED),
            (server.status(429), Failure.RATE_LIMITED),
            (server.redirect("http://169.254.169.254/"), Failure.REDIRECTED),
            (server.redirect("file:///etc/passwd", 308), Failure.REDIRECTED),
        ],
    )
    def test_each_has_its_name_after_one_call(
        self, call: Call, vendor: StandIn, rules: CallRules, behaviour: Behaviour, failure: Failure
    ) -> None:
        vendor.script("/prices", behaviour)
        rules.timeout = HASTE if failure is Failure.TIMEOUT else PATIENCE
        error = failure_of(call)
        assert (error.failure, error.retry_after) == (failure, None)
        assert str(error).startswith(f"{failure.value}: ")
        assert (len(vendor.requests), rules.calls) == (1, 1)

    @pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
    def test_redirects_are_not_followed(self, call: Call, vendor: StandIn, code: int) -> None:
        with stand_in(routes) as elsewhere:
            vendor.script("/prices", server.redirect(f"{elsewhere.url}/prices", code))
            assert failure_of(call).failure is Failure.REDIRECTED
            assert elsewhere.requests == []

    @pytest.mark.usefixtures("hasty")
    def test_a_body_without_length_that_is_cut_is_no_whole_one(self, call: Call, vendor: StandIn) -> None:
        def endless(exchange: server.Exchange) -> None:
            exchange.line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
            exchange.drip(b"[" + b"1," * 500, 0.05)

        vendor.script("/prices", endless)
        assert failure_of(call).failure is Failure.TIMEOUT

    def test_what_cannot_be_decoded_is_garbage(self, call: Call, vendor: StandIn) -> None:
        page = Page(b"no gzip", headers={"Content-Encoding": "gzip"})
        vendor.script("/prices", lambda exchange: exchange.send(page))
        assert failure_of(call).failure is Failure.GARBAGE

    def test_what_is_no_http_is_unreachable(self, call: Call, vendor: StandIn) -> None:
        vendor.script("/prices", lambda exchange: exchange.line.sendall(b"SSH-2.0-OpenSSH\r\n"))
        assert failure_of(call).failure is Failure.UNREACHABLE

    def test_nobody_listens(self, call: Call, rules: CallRules) -> None:
        with socket.socket() as closed:
            closed.bind((server.LOOPBACK, 0))
            rules.base_url = f"http://{server.LOOPBACK}:{closed.getsockname()[1]}"
            assert failure_of(call).failure is Failure.UNREACHABLE

    def test_no_such_host(self, call: Call, rules: CallRules, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        rules.base_url = "http://vendor.invalid"
        assert failure_of(call).failure is Failure.UNREACHABLE

    @pytest.mark.usefixtures("hasty")
    def test_a_host_of_many_silent_addresses_has_one_deadline(
        self, call: Call, rules: CallRules, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with full_listener() as port:
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (server.LOOPBACK, port))] * 5
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            rules.base_url = f"http://vendor.invalid:{port}"
            assert failure_of(call).failure is Failure.TIMEOUT

    @pytest.mark.usefixtures("hasty")
    def test_an_encrypted_line_that_is_never_agreed_on(self, call: Call, rules: CallRules) -> None:
        with socket.create_server((server.LOOPBACK, 0)) as listener:
            rules.base_url = f"https://{server.LOOPBACK}:{listener.getsockname()[1]}"
            assert failure_of(call).failure is Failure.TIMEOUT

    def test_the_second_address_answers(
        self, call: Call, vendor: StandIn, rules: CallRules, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        port = urlsplit(vendor.url).port or 0
        with socket.socket() as closed:
            closed.bind((server.LOOPBACK, 0))
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            found = [(*kind, closed.getsockname()), (*kind, (server.LOOPBACK, port))]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            rules.base_url = f"http://vendor.invalid:{port}"
            assert json_object(call(URL)) == ANSWER

    @pytest.mark.usefixtures("hasty")
    def test_a_look_up_that_lasts(self, call: Call, rules: CallRules, monkeypatch: pytest.MonkeyPatch) -> None:
        released = threading.Event()

        def last(*_: object, **__: object) -> None:
            released.wait(30)
            raise socket.gaierror(-3, "Temporary failure in name resolution")

        monkeypatch.setattr(socket, "getaddrinfo", last)
        rules.base_url = "http://vendor.invalid"
        assert failure_of(call).failure is Failure.TIMEOUT
        released.set()

    @pytest.mark.parametrize(
        ("header", "seconds"),
        [("7", 7.0), ("2.5", 2.5), ("0", 0.0), ("-3", 0.0), ("soon", None), ("", None)],
    )
    def test_when_to_come_back(self, call: Call, vendor: StandIn, header: str, seconds: float | None) -> None:
        vendor.script("/prices", server.status(429, retry_after=header))
        assert failure_of(call).retry_after == seconds

    @pytest.mark.parametrize("word", ["nan", "inf", "-inf", "1e999"])
    def test_no_number_of_seconds_is_none(self, call: Call, vendor: StandIn, word: str) -> None:
        vendor.script("/prices", server.status(429, retry_after=word))
        assert failure_of(call).retry_after is None

    def test_when_to_come_back_as_a_date(self, call: Call, vendor: StandIn) -> None:
        later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
        vendor.script("/prices", server.status(429, retry_after=later))
        after = failure_of(call).retry_after
        assert after is not None
        assert 60 < after <= 90
        vendor.script("/prices", server.status(429, retry_after="Wed, 21 Oct 2015 07:28:00 GMT"))
        assert failure_of(call).retry_after == 0.0


class TestThreads:
    def test_each_call_has_its_own_deadline(self, transport: Transport, vendor: StandIn, rules: CallRules) -> None:
        vendor.script("/silent", server.silence)
        hasty = CallRules(base_url=vendor.url, timeout=HASTE, turns=CountedTurns())
        failed: list[Failure] = []

        def wait_in_vain() -> None:
            failed.append(failure_of(transport(hasty), "https://vendor.invalid/silent").failure)

        waiting = threading.Thread(target=wait_in_vain)
        waiting.start()
        call = transport(rules)
        until = time.monotonic() + 1.5 * HASTE
        while time.monotonic() < until:
            assert json_object(call(URL)) == ANSWER
        waiting.join(10)
        assert failed == [Failure.TIMEOUT]

    def test_no_thread_is_left(self, call: Call, vendor: StandIn, rules: CallRules) -> None:
        before = {thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)}
        vendor.script("/prices", server.good, server.reset, server.silence)
        call(URL)
        failure_of(call)
        rules.timeout = HASTE
        failure_of(call)
        time.sleep(0.05)
        timers = {thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)}
        assert timers <= before


class TestJson:
    def test_an_object(self) -> None:
        assert json_object(b'{"a": [1]}') == {"a": [1]}

    @pytest.mark.parametrize("text", [b"", b"<html>", b'{"a": [1', b"[1]", b'"a"', b"null", b"\xff\xfe\x00", "\ud800"])
    def test_anything_else_is_garbage(self, text: bytes | str) -> None:
        with pytest.raises(VendorCallError) as caught:
            json_object(text)
        assert caught.value.failure is Failure.GARBAGE
        # The text that was sent is in the error that it replaces.
        assert caught.value.__context__ is None or caught.value.__suppress_context__

    def test_what_is_nested_too_deeply_is_garbage(self) -> None:
        with pytest.raises(VendorCallError):
            json_object(b'{"a":' * 100_000)


class full_listener:  # noqa: N801
    """A port whose queue of connections is full, so that further ones are left without an answer."""

    def __enter__(self) -> int:
        self.listener = socket.create_server((server.LOOPBACK, 0), backlog=0)
        port: int = self.listener.getsockname()[1]
        self.waiting = [socket.socket() for _ in range(4)]
        for line in self.waiting:
            line.setblocking(False)
            line.connect_ex((server.LOOPBACK, port))
        return port

    def __exit__(self, *_: object) -> None:
        for line in (*self.waiting, self.listener):
            line.close()
