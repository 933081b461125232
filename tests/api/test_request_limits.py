"""Tests of the ceilings for requests, over TCP, at and beyond each, and of errors that nothing else answers."""

import gzip
import json
import logging
import threading
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import psutil
import pytest
from fastapi import Body, FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from sigmasight_api import request_limits
from sigmasight_api.request_limits import LARGEST_BODY, LARGEST_TARGET, LARGEST_UPLOAD, MOST_QUERY_VALUES, Limits
from sigmasight_api.routes.problems import install_handlers
from tests.api.conftest import DEADLINE_SECONDS, listening, wait_until

JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv; charset=utf-8"}
RELEASE = threading.Event()


def application() -> FastAPI:
    """A few routes behind the limits."""
    app = FastAPI(openapi_url=None)
    install_handlers(app)
    app.add_middleware(Limits)

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    @app.post("/parts")
    async def parts(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])

    @app.post("/document")
    async def document(value: Annotated[dict[str, int], Body()]) -> int:
        return len(value)

    @app.post("/unread")
    async def unread() -> Response:
        return Response(status_code=403)

    @app.get("/waits")
    def waits() -> str:
        RELEASE.wait(DEADLINE_SECONDS)
        return "done"

    @app.get("/fails")
    async def fails() -> None:
        raise KeyError("secret")

    @app.get("/breaks")
    async def breaks() -> Response:
        async def content() -> Any:
            yield b"begun"
            raise KeyError("secret")

        return StreamingResponse(content())

    @app.get("/target/{rest}")
    async def target(rest: str) -> int:
        return len(rest)

    return app


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with listening(application()) as url, httpx.Client(base_url=url, timeout=DEADLINE_SECONDS) as client:
        yield client


def chunks(size: int) -> Iterator[bytes]:
    """A body whose length is not told."""
    for start in range(0, size, 65_536):
        yield b" " * min(65_536, size - start)


def assert_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status


@pytest.mark.fault(27)
@pytest.mark.parametrize(("headers", "largest"), [(JSON, LARGEST_BODY), (CSV, LARGEST_UPLOAD), ({}, LARGEST_BODY)])
@pytest.mark.parametrize("path", ["/size", "/parts"])
def test_a_body_has_a_ceiling_whether_its_length_is_told_or_not(
    http: httpx.Client, headers: dict[str, str], largest: int, path: str
) -> None:
    assert http.post(path, content=b" " * largest, headers=headers).json() == largest
    assert http.post(path, content=chunks(largest), headers=headers).json() == largest
    for content in (b" " * (largest + 1), chunks(largest + 1)):
        answer = http.post(path, content=content, headers=headers)
        assert_problem(answer, 413)
        assert str(largest) in answer.json()["detail"]
        assert answer.headers["Connection"] == "close"


def test_a_body_is_not_read_for_an_answer_that_does_not_need_it(http: httpx.Client) -> None:
    assert http.post("/unread", content=chunks(LARGEST_BODY + 1), headers=JSON).status_code == 403
    assert_problem(http.post("/nowhere", content=b"x", headers=JSON), 404)
    assert_problem(http.post("/nowhere", content=b" " * (LARGEST_BODY + 1), headers=JSON), 413)


@pytest.mark.fault(27)
@pytest.mark.campaign
def test_a_large_body_is_refused_before_it_is_kept(http: httpx.Client) -> None:
    process = psutil.Process()
    for path in ("/size", "/document"):
        before = process.memory_info().rss
        try:
            answer = http.post(path, content=chunks(300 * request_limits.MIB), headers=JSON)
        except httpx.TransportError:
            continue  # the connection is gone before the client has sent everything
        assert_problem(answer, 413)
        assert process.memory_info().rss - before < 50 * request_limits.MIB


def test_uploads_together_have_a_ceiling_and_give_back_what_they_held(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "MOST_HELD", 100_000)
    for _ in range(3):
        assert http.post("/size", content=b" " * 90_000, headers=JSON).json() == 90_000
    answer = http.post("/size", content=b" " * 110_000, headers=JSON)
    assert_problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert http.post("/size", content=b" " * 90_000, headers=JSON).json() == 90_000


def test_requests_at_once_have_a_ceiling(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "MOST_REQUESTS", 1)
    RELEASE.clear()
    answers: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: answers.append(http.get("/waits")))
    waiting.start()
    try:
        wait_until(lambda: http.get("/target/a").status_code == 503)
        assert_problem(http.get("/target/a"), 503)
    finally:
        RELEASE.set()
        waiting.join()
    assert answers[0].json() == "done"
    assert http.get("/target/a").json() == 1


def test_a_target_has_a_ceiling(http: httpx.Client) -> None:
    room = LARGEST_TARGET - len("/target/")
    assert http.get("/target/" + "x" * room).json() == room
    assert http.get("/target/x?" + "y" * (room - 1)).json() == 1
    assert_problem(http.get("/target/" + "x" * (room + 1)), 414)
    assert_problem(http.get("/target/x?" + "y" * room), 414)


@pytest.mark.fault(27)
def test_a_query_has_a_ceiling(http: httpx.Client) -> None:
    assert http.get("/target/x?" + "&".join(["a=1"] * MOST_QUERY_VALUES)).json() == 1
    assert_problem(http.get("/target/x?" + "&".join(["a=1"] * (MOST_QUERY_VALUES + 1))), 400)


@pytest.mark.fault(27)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity", "x"])
def test_compressed_bodies_are_refused(http: httpx.Client, encoding: str) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    answer = http.post("/size", content=bomb, headers=JSON | {"Content-Encoding": encoding})
    assert_problem(answer, 415)
    assert answer.headers["Accept-Encoding"] == "identity"
    assert http.post("/size", content=b"{}", headers=JSON | {"Content-Encoding": "Identity"}).json() == 2


@pytest.mark.fault(27)
@pytest.mark.parametrize("depth", [10, 100, 500, 900, 950, 970, 990, 1_000, 1_010, 10_000, 100_000, 500_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ("[", "")])
def test_nested_bodies_are_refused_at_every_depth(http: httpx.Client, depth: int, opening: str, closing: str) -> None:
    content = (opening * depth + "1" * bool(closing) + closing * depth)[:LARGEST_BODY]
    answer = http.post("/document", content=content, headers=JSON)
    assert answer.status_code in {400, 422}
    assert_problem(answer, answer.status_code)
    assert len(answer.content) < 2_000


@pytest.mark.fault(26)
@pytest.mark.parametrize(
    "content",
    [
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e400}',
        b'{"a": "NaN"}',
        b'{"a": 1.5}',
        b'{"a": ' + b"9" * 5_000 + b"}",
        b"\xff\xfe",
        b'{"\\ud800": "x"}',
        b'{"' + b"k" * 100_000 + b'": "x"}',
        json.dumps({str(number): "x" for number in range(10_000)}).encode(),
        b"",
        b"{",
    ],
)
def test_whatever_a_body_holds_the_refusal_is_short_and_can_be_sent(http: httpx.Client, content: bytes) -> None:
    answer = http.post("/document", content=content, headers=JSON)
    assert answer.status_code in {400, 422}
    assert_problem(answer, answer.status_code)
    assert len(answer.content) < 30_000


def test_an_error_that_nobody_foresaw_is_a_problem_and_logged_without_its_frames(
    http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = http.get("/fails")
    assert_problem(answer, 500)
    assert "secret" not in answer.text
    # What threads of other tests leave behind has names of its own.
    (record,) = (each for each in caplog.records if each.name == "sigmasight_api.request_limits")
    assert record.getMessage().startswith("GET '/fails': KeyError: 'secret' (at ")
    assert record.exc_info is None


def test_an_answer_that_breaks_off_is_not_continued_with_a_problem(http: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        http.get("/breaks")
    assert http.get("/target/a").json() == 1
