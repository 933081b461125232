"""The API's benchmark: its load generator counts what it is meant to count, its checks see what is wrong."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import httpx
import pytest

from benchmarks import load as load_module
from benchmarks.api_mixed import Sample, unequal_sums
from benchmarks.load import MISSING, load, require_wrk

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason=MISSING)


class Answers(BaseHTTPRequestHandler):
    """Answers by path: right, of two generations, refused, or not at all."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer one request."""
        self.asked.append(f"{self.path} {self.headers['Authorization']}")
        if self.path == "/broken":
            self.close_connection = True
            return
        body = b'{"generation":%d}' % (8 if self.path == "/mixed" else 7)
        self.send_response(404 if self.path == "/refused" else 200)
        self.send_header("X-Data-Generation", "7")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def answering() -> Iterator[str]:
    """The address of a server on loopback."""
    Answers.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@needs_wrk
def test_every_path_is_asked_in_turn_with_the_token() -> None:
    with answering() as address:
        done = load(address, ["/a", "/b"], token="secret", connections=1, seconds=1, checked=True)
    assert done.is_clean
    assert done.requests >= 2
    assert Answers.asked[:3] == ["/b Bearer secret", "/a Bearer secret", "/b Bearer secret"]
    assert 0 < done.p50_ms <= done.p99_ms <= done.worst_ms
    assert done.rate == done.requests / done.seconds


@needs_wrk
def test_asked_once_no_path_comes_again() -> None:
    paths = [f"/{number}" for number in range(20)]
    with answering() as address:
        done = load(address, paths, token="secret", connections=1, seconds=1, once=True)
    asked = [line.split()[0] for line in Answers.asked]
    assert asked == [*paths[1:], paths[0]][: len(asked)]
    assert 10 < done.requests <= 20


@needs_wrk
@pytest.mark.parametrize("fault", ["refused", "mixed", "broken"])
def test_what_is_wrong_is_counted(fault: str) -> None:
    with answering() as address:
        done = load(address, ["/right", f"/{fault}"], token="secret", connections=1, seconds=1, checked=True)
    assert not done.is_clean
    found = {name: getattr(done, name) > 0 for name in ("refused", "mixed", "broken")}
    assert found == {name: name == fault for name in found}


def test_without_the_load_generator_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="apt-get install wrk"):
        require_wrk()


def answer(generation: int, header: str, value: int) -> httpx.Response:
    document = {"generation": generation, "data": {"value": value}}
    return httpx.Response(200, json=document, headers={"X-Data-Generation": header})


def test_a_sample_knows_the_answers_of_each_generation() -> None:
    sample = Sample()
    sample.take("/a", answer(1, "1", 10))
    sample.take("/a", answer(1, "1", 10))
    sample.take("/a", answer(2, "2", 11))
    assert (sample.faults, sample.repeated, sample.checked) == ([], 0, 3)
    sample.take("/b", answer(1, "2", 10))
    sample.take("/a", answer(1, "1", 12))
    assert sample.faults == ["/b: two generations in one answer", "/a: two answers of generation 1"]
    sample.take("/a", answer(3, "3", 11))
    assert sample.repeated == 1


def test_exposures_that_do_not_sum_up_are_named() -> None:
    positions = [{"factors": [{"name": "Market Beta", "exposure": share}]} for share in (0.25, None, 0.5)]
    total = {"factors": [{"name": "Market Beta", "exposure": 0.75}]}
    assert unequal_sums(total, {"positions": positions}) == []
    total["factors"][0]["exposure"] = 0.7500001
    assert unequal_sums(total, {"positions": positions}) == ["Market Beta"]


def test_the_script_of_the_load_generator_is_there() -> None:
    assert load_module.SCRIPT.exists()
