"""Abuse of the API as a process of its own: what it holds in memory, whom it keeps waiting, and what time tells."""

import gzip
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from sigmasight_api.request_limits import LARGEST_UPLOAD, MIB
from sigmasight_api.server import allow_many_descriptors
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.storage.database import Database
from tests.api.conftest import DEADLINE_SECONDS, bearer, wait_until
from tests.api.market import SESSIONS, add_covariance, add_portfolio, add_token, publish, random_figures, track
from tests.api.processes import Process, server_process
from tests.api.test_deadlines import TRICKLES
from tests.contents import contents
from tests.faults.campaign import Tally

LARGEST_GROWTH = 50 * MIB
JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv"}
CSV_HEAD = "symbol,quantity,entry_price,entry_date\n"


@pytest.fixture
def process(database: Database, tmp_path: Path) -> Iterator[Process]:
    track(database, "AAA")
    publish(database, SESSIONS[-1], random_figures(["AAA"], seed=1))
    with server_process(database, tmp_path) as process:
        process.http.timeout = httpx.Timeout(DEADLINE_SECONDS)
        wait_until(lambda: process.http.get("/health/ready").json()["mode"] == "cache")
        yield process


def chunks(size: int) -> Iterator[bytes]:
    """A body whose length is not told."""
    for start in range(0, size, 65_536):
        yield b" " * min(65_536, size - start)


def announced(process: Process, path: str, headers: dict[str, str], size: int) -> int:
    """The status that a request has whose head tells a length, and of whose body nothing is sent."""
    told = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "x", "Content-Length": size, **headers}.items())
    with socket.create_connection(("127.0.0.1", process.port), timeout=DEADLINE_SECONDS) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\n{told}\r\n".encode())
        return int(connection.recv(65_536).split()[1])


def answered(ask: Callable[[], httpx.Response]) -> httpx.Response | None:
    """The answer; None where the connection ends before everything is sent, and the refusal is lost to the client."""
    try:
        return ask()
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        return None


@contextmanager
def most_memory(pid: int) -> Iterator[list[int]]:
    """By how many bytes a process was larger at its largest than before, while the block ran."""
    process, end, growth = psutil.Process(pid), threading.Event(), [0]
    before = process.memory_info().rss

    def look() -> None:
        while not end.wait(0.01):
            growth[0] = max(growth[0], process.memory_info().rss - before)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield growth
    finally:
        end.set()
        thread.join()


@pytest.mark.fault(27)
@pytest.mark.campaign
def test_nothing_that_is_sent_makes_the_process_much_larger(process: Process, database: Database, tally: Tally) -> None:
    token, own = bearer(add_token(database, "ann")), add_portfolio(database, "ann", {"AAA": "1"})
    query = {"name": "Long", "stated_equity": "1", "as_of": str(SESSIONS[0])}
    line = f"AAA,1,10,{SESSIONS[0]}\n"
    lot = {"symbol": "AAA", "quantity": "1", "entry_price": "10", "entry_date": str(SESSIONS[0])}
    lots = json.dumps({**query, "positions": [lot] * 10_001}).encode()
    nested = {name: opening * 100_000 for name, opening in (("lists", b"["), ("objects", b'{"a":'))}
    symbols = "&".join(f"symbol=S{number}" for number in range(1_000))
    paths = "/api/v1/portfolios", "/api/v1/portfolios.csv"
    asked: dict[str, tuple[set[int], Callable[[httpx.Client], httpx.Response]]] = {
        "300 MB, told": ({413}, lambda http: http.post(paths[0], content=b" " * (300 * MIB), headers=token | JSON)),
        "300 MB, not told": ({413}, lambda http: http.post(paths[0], content=chunks(300 * MIB), headers=token | JSON)),
        "300 MB of CSV": ({413}, lambda http: http.post(paths[1], content=chunks(300 * MIB), headers=token | CSV)),
        "300 MB from nobody": ({401, 413}, lambda http: http.post(paths[0], content=chunks(300 * MIB), headers=JSON)),
        "lists": ({400, 422}, lambda http: http.post(paths[0], content=nested["lists"], headers=token | JSON)),
        "objects": ({400, 422}, lambda http: http.post(paths[0], content=nested["objects"], headers=token | JSON)),
        "gzip bomb": (
            {415},
            lambda http: http.post(
                paths[0],
                content=gzip.compress(b"0" * 100 * MIB),
                headers=token | JSON | {"Content-Encoding": "gzip"},
            ),
        ),
        "10,001 positions": ({413, 422}, lambda http: http.post(paths[0], content=lots, headers=token | JSON)),
        "10,001 lines": (
            {422},
            lambda http: http.post(paths[1], content=CSV_HEAD + line * 10_001, params=query, headers=token | CSV),
        ),
        "10,000 lines": (
            {201},
            lambda http: http.post(paths[1], content=CSV_HEAD + line * 10_000, params=query, headers=token | CSV),
        ),
        "1,000 symbols": ({400, 414}, lambda http: http.get(f"/api/v1/symbols?{symbols}", headers=token)),
        "year 9999": (
            {200},
            lambda http: http.get(f"/api/v1/portfolios/{own.public_id}/snapshots?from=9999-12-31", headers=token),
        ),
        "seconds for a date": (
            {422},
            lambda http: http.get("/api/v1/symbols/AAA/prices?from=1704412800", headers=token),
        ),
    }
    assert announced(process, paths[0], token | JSON, 300 * MIB) == 413
    assert announced(process, paths[1], token | CSV, 300 * MIB) == 413
    growths = {}
    for name, (statuses, ask) in asked.items():
        tally.tried += 1
        with most_memory(process.pid) as growth:
            answer = answered(partial(ask, process.http))
        if answer is None:
            assert name.startswith("300 MB"), name
        else:
            assert answer.status_code in statuses, (name, answer.status_code, answer.text[:300])
        growths[name] = round(growth[0] / MIB, 1)
    print(growths)  # noqa: T201 - what was measured
    assert max(growths.values()) * MIB < LARGEST_GROWTH, growths
    # Its own, and that of 10,000 lines.
    assert process.http.get("/api/v1/portfolios", headers=token).json()["total"] == 2
    tally.survived = tally.tried


@pytest.mark.fault(28)
@pytest.mark.campaign
@pytest.mark.parametrize("count", [200, 1_000])
def test_requests_that_trickle_keep_nobody_waiting(
    process: Process, database: Database, tally: Tally, count: int
) -> None:
    token = bearer(add_token(database, "ann"))
    allow_many_descriptors()
    kinds = [TRICKLES[name] for name in ("target", "header", "headers", "body", "chunks", "trailers")]
    slow: list[tuple[socket.socket, bytes]] = []
    ended = [0]
    end = threading.Event()

    def trickle() -> None:
        """A byte now and then on every connection, for as long as each is open."""
        while not end.wait(0.5):
            for item in list(slow):
                try:
                    item[0].send(item[1])
                except OSError:
                    slow.remove(item)
                    ended[0] += 1

    def normal(times: int) -> list[float]:
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            assert process.http.get("/api/v1/portfolios", headers=token).status_code == 200
            taken.append(time.perf_counter() - began)
            time.sleep(0.02)
        return sorted(taken)

    idle = normal(200)
    for number in range(count):
        begin, more, _ = kinds[number % len(kinds)]
        connection = socket.create_connection(("127.0.0.1", process.port))
        connection.sendall(begin)
        slow.append((connection, more))
    sockets = [connection for connection, _ in slow]
    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        meanwhile = normal(200)
        began = time.monotonic()
        # The deadline of production is 20 s.
        wait_until(lambda: not slow)
        recovery = time.monotonic() - began
    finally:
        end.set()
        thread.join()
        for connection in sockets:
            connection.close()
    measured = {name: round(taken[197] * 1_000, 1) for name, taken in (("idle", idle), ("meanwhile", meanwhile))}
    print(count, "milliseconds p99", measured)  # noqa: T201 - what was measured
    assert ended[0] == count
    # On a machine so busy that they take longer without any trickle, not much longer than that.
    assert measured["meanwhile"] < max(100.0, 2 * measured["idle"]), measured
    tally.survive(count, recovery=recovery)


@pytest.mark.fault(20)
@pytest.mark.campaign
def test_a_process_without_memory_for_the_next_view_keeps_the_last_one(
    process: Process, database: Database, tally: Tally
) -> None:
    token = bearer(add_token(database, "ann"))

    def reason() -> str | None:
        answer = process.http.get("/health/ready")
        assert (answer.status_code, answer.json()["mode"]) == (200, "cache")
        return answer.json()["reason"]  # type: ignore[no-any-return]

    def close_price() -> str:
        return str(process.http.get("/api/v1/symbols/AAA", headers=token).json()["close"])

    before = close_price()
    assert reason() is None
    own = psutil.Process(process.pid)
    # A row that cannot be read, then a market of which no room is left: both fail with part of the view read.
    add_covariance(database, SESSIONS[-1], np.eye(8)[:3], FACTOR_ETFS)
    publish(database, SESSIONS[-1], random_figures(["AAA"], seed=2))
    wait_until(lambda: reason() is not None)
    assert close_price() == before
    tally.survive()
    with database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM factor_covariances")
    began = time.monotonic()
    wait_until(lambda: reason() is None)
    tally.survive(recovery=time.monotonic() - began)
    before, served = close_price(), process.http.get("/api/v1/factors", headers=token)
    unlimited = own.rlimit(psutil.RLIMIT_AS)
    own.rlimit(psutil.RLIMIT_AS, (own.memory_info().vms, resource.RLIM_INFINITY))
    publish(database, SESSIONS[-1], random_figures([f"S{number:05}" for number in range(6_000)] + ["AAA"], seed=3))
    try:
        wait_until(lambda: reason() is not None)
        assert close_price() == before
        assert process.http.get("/api/v1/factors", headers=token).content == served.content
    finally:
        own.rlimit(psutil.RLIMIT_AS, unlimited)
    began = time.monotonic()
    wait_until(lambda: reason() is None)
    assert close_price() != before
    tally.survive(recovery=time.monotonic() - began)


@pytest.mark.fault(30)
@pytest.mark.campaign
def test_a_million_lines_are_refused_and_nothing_of_them_is_kept(
    process: Process, database: Database, tally: Tally
) -> None:
    token = bearer(add_token(database, "ann"))
    query = {"name": "Long", "stated_equity": "1", "as_of": str(SESSIONS[0])}
    line, before = f"AAA,1,10,{SESSIONS[0]}\n", contents(database)
    whole = (CSV_HEAD + line * 1_000_000).encode()
    fitting = (CSV_HEAD + "A,1,1,2\n" * 1_000_000)[: LARGEST_UPLOAD - 8].encode()
    for content, statuses in ((whole, {413}), (fitting, {422})):
        for dry_run in ("true", "false"):
            sent: dict[str, Any] = {"content": content, "params": query | {"dry_run": dry_run}, "headers": token | CSV}
            with most_memory(process.pid) as growth:
                answer = answered(partial(process.http.post, "/api/v1/portfolios.csv", **sent))
            if answer is None:
                assert content is whole
            else:
                # What is wrong with a file that may be sent is the answer of a dry run.
                is_report = content is fitting and dry_run == "true"
                assert answer.status_code in ({200} if is_report else statuses), answer.text[:300]
                assert len(answer.content) < MIB
            assert growth[0] < 4 * LARGEST_GROWTH
    assert announced(process, "/api/v1/portfolios.csv", token | CSV, len(whole)) == 413
    assert contents(database) == before
    tally.survive(4)
