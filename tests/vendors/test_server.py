"""The stand-in does to a plain client what its behaviours say, and leaves nothing behind."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, IncompleteRead
from urllib.parse import urlsplit

import pytest

from tests.vendors import server
from tests.vendors.server import Behaviour, Page, StandIn, stand_in

ANSWER = {"symbol": "ABC", "values": [1, 2, 3]}


def routes(path: str, query: Mapping[str, str]) -> tuple[str, Page]:
    return path.rpartition("/")[2], Page({**ANSWER, "asked": dict(query)} if query else ANSWER)


@pytest.fixture
def vendor() -> Iterator[StandIn]:
    with stand_in(routes) as running:
        yield running


def get(vendor: StandIn, target: str = "/v1/ABC", *, seconds: float = 5.0) -> tuple[int, Mapping[str, str], bytes]:
    line = HTTPConnection(urlsplit(vendor.url).netloc, timeout=seconds)
    try:
        line.request("GET", target)
        answer = line.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        line.close()


def test_a_request_without_a_script_gets_the_good_answer_and_is_recorded(vendor: StandIn) -> None:
    before = time.monotonic()
    status, headers, content = get(vendor, "/v1/O%3AABC?first=1&last=")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(content) == {**ANSWER, "asked": {"first": "1", "last": ""}}
    (request,) = vendor.asked("O:ABC")
    assert (request.method, request.path, request.query) == ("GET", "/v1/O:ABC", {"first": "1", "last": ""})
    assert request.headers["Host"] == urlsplit(vendor.url).netloc
    assert before <= request.when <= time.monotonic()


def test_a_script_is_used_up_call_after_call_and_its_last_behaviour_stays(vendor: StandIn) -> None:
    vendor.script("ABC", server.status(429, retry_after="7"), server.status(500), server.good)
    answers = [get(vendor) for _ in range(4)]
    assert [status for status, _, _ in answers] == [429, 500, 200, 200]
    assert answers[0][1]["Retry-After"] == "7"
    assert "Retry-After" not in answers[1][1]
    assert get(vendor, "/v1/OTHER")[0] == 200


def test_all_keys_without_a_script_meet_the_default(vendor: StandIn) -> None:
    vendor.default = server.status(503)
    vendor.script("ABC", server.good)
    assert get(vendor)[0] == 200
    assert get(vendor, "/v1/OTHER")[0] == 503


def test_silence_lasts_until_the_caller_gives_up(vendor: StandIn) -> None:
    vendor.script("ABC", server.silence)
    with pytest.raises(TimeoutError):
        get(vendor, seconds=0.2)


def test_a_reset_is_one(vendor: StandIn) -> None:
    vendor.script("ABC", server.reset)
    with pytest.raises(ConnectionResetError):
        get(vendor)


@pytest.mark.parametrize("behaviour", [server.slow_body(0.002), server.slow_headers(0.002)])
def test_what_drips_arrives_whole_in_the_end(vendor: StandIn, behaviour: Behaviour) -> None:
    vendor.script("ABC", behaviour)
    assert json.loads(get(vendor)[2]) == ANSWER


def test_a_page_comes_with_status_200(vendor: StandIn) -> None:
    vendor.script("ABC", server.html)
    status, headers, content = get(vendor)
    assert (status, headers["Content-Type"], content) == (200, "text/html", server.PAGE)


def test_cut_json_is_whole_for_http_and_a_cut_transfer_is_not(vendor: StandIn) -> None:
    vendor.script("ABC", server.truncated_json, server.truncated_transfer)
    whole = json.dumps(ANSWER).encode()
    content = get(vendor)[2]
    assert content == whole[: len(whole) // 2]
    with pytest.raises(IncompleteRead):
        get(vendor)


def test_a_redirect_names_another_server_that_records_its_visitors(vendor: StandIn) -> None:
    with stand_in(routes) as elsewhere:
        vendor.script("ABC", server.redirect(f"{elsewhere.url}/v1/ABC"))
        status, headers, _ = get(vendor)
        assert (status, headers["Location"]) == (302, f"{elsewhere.url}/v1/ABC")
        assert elsewhere.requests == []


def test_bodies_can_be_altered_or_replaced(vendor: StandIn) -> None:
    vendor.script("ABC", server.altered(lambda body: {**body, "values": []}), server.sends({"no": "answer"}, 404))
    assert json.loads(get(vendor)[2]) == {"symbol": "ABC", "values": []}
    assert get(vendor)[0] == 404


def test_a_line_carries_several_requests(vendor: StandIn) -> None:
    line = HTTPConnection(urlsplit(vendor.url).netloc, timeout=5)
    for _ in range(3):
        line.request("GET", "/v1/ABC")
        assert json.loads(line.getresponse().read()) == ANSWER
    line.close()
    assert len(vendor.asked("ABC")) == 3


def test_requests_within_a_time_are_counted(vendor: StandIn) -> None:
    assert vendor.most_within(1.0) == 0
    for _ in range(3):
        get(vendor)
    times = [10.0, 10.4, 11.0]
    vendor.requests[:] = [
        server.Request(when, "ABC", "GET", "/", {}, {}) for when, _ in zip(times, vendor.requests, strict=True)
    ]
    assert [vendor.most_within(seconds) for seconds in (0.3, 0.5, 1.0, 1.1)] == [1, 2, 2, 3]


def test_nothing_is_left_after_the_block() -> None:
    before = threading.active_count()
    lines = []
    with stand_in(routes) as vendor:
        vendor.script("ABC", server.silence)
        vendor.script("SLOW", server.slow_body(0.05))
        # An idle line, one without an answer and one under way.
        for target in ("", "GET /v1/ABC HTTP/1.1\r\n\r\n", "GET /v1/SLOW HTTP/1.1\r\n\r\n"):
            lines.append(socket.create_connection((server.LOOPBACK, urlsplit(vendor.url).port or 0)))
            lines[-1].sendall(target.encode())
        while len(vendor.requests) < 2:
            time.sleep(0.01)
    assert threading.active_count() == before
    for line in lines:
        line.close()
    with pytest.raises(ConnectionRefusedError):
        get(vendor)
