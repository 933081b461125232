"""Tests of the server process: it serves and ends, and its log cannot be forged and tells no secret."""

import asyncio
import gc
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy.engine import make_url

from sigmasight_api.server import SETTLED_TICKS, LongRunning, configuration
from sigmasight_assets.storage.database import Database
from tests.api.conftest import bearer, wait_until
from tests.api.market import NOW, add_token


@dataclass
class Process:
    """A server process and, after the block, what it wrote."""

    http: httpx.Client
    pid: int
    port: int
    log: str = ""


@contextmanager
def server_process(database: Database, directory: Path) -> Iterator[Process]:
    """The command of ``make run``, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = directory / "server.log"
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "sigmasight_api.server", "--port", str(port)],
            cwd=directory,
            env={**os.environ, "SIGMASIGHT_DATABASE_URL": database.url, "SIGMASIGHT_NOW": NOW},
            stderr=stderr,
        )
    with child, httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:

        def is_ready() -> bool:
            assert child.poll() is None
            try:
                return http.get("/health/ready").status_code == 200
            except httpx.TransportError:
                return False

        process = Process(http, child.pid, port)
        try:
            wait_until(is_ready)
            yield process
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=30)
            process.log = log.read_text(encoding="utf-8")


def test_the_server_serves_and_ends(database: Database, tmp_path: Path) -> None:
    token = add_token(database, "ann")
    with server_process(database, tmp_path) as process:
        answer = process.http.get("/api/v1/portfolios", headers=bearer(token))
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    assert answer.json() == {"items": [], "total": 0}
    assert "server" not in answer.headers
    assert "Traceback" not in process.log
    assert "Application shutdown complete" in process.log
    assert soft >= min(hard, 8_192)


def test_the_log_tells_where_an_error_came_from_and_nothing_else(database: Database, tmp_path: Path) -> None:
    token = add_token(database, "ann")
    password = str(make_url(database.url).password)
    with server_process(database, tmp_path) as process:
        with database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE portfolios RENAME COLUMN name TO renamed")
        try:
            answer = process.http.get("/api/v1/portfolios", headers=bearer(token))
        finally:
            with database.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE portfolios RENAME COLUMN renamed TO name")
    assert answer.status_code == 500
    (line,) = (line for line in process.log.splitlines() if " ERROR " in line)
    assert re.search(r"GET '/api/v1/portfolios': \w+: column .*name does not exist \(at sigmasight_api\.", line)
    for text in (process.log, answer.text):
        assert not [found for found in (token, password, "SELECT", "Traceback", str(Path(sys.prefix))) if found in text]
        assert str(Path(__file__).parents[2]) not in text


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/portfolios/x%0d%0a2025-07-31%20ERROR%20forged",
        "/api/v1/portfolios/%1b[2Jforged",
        "/api/v1/portfolios/%e2%80%aeforged",
        "/api/v1/portfolios?a=%0d%0aforged",
    ],
)
def test_no_path_begins_a_line_of_the_log(database: Database, tmp_path: Path, path: str) -> None:
    with server_process(database, tmp_path) as process, socket.create_connection(("127.0.0.1", process.port)) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert raw.recv(1_000).startswith(b"HTTP/1.1 401 ")
    lines = [line for line in process.log.splitlines() if "forged" in line]
    assert len(lines) == 1
    assert lines[0].startswith("20")
    assert "uvicorn.access" in lines[0]
    assert lines[0].isprintable()


def test_what_lives_after_the_start_is_set_aside_for_the_garbage_collector() -> None:
    process = LongRunning(configuration("sigmasight_api.app:create_app", port=0, log_config=None))
    before = gc.get_freeze_count()
    try:
        for tick in range(SETTLED_TICKS):
            assert gc.get_freeze_count() == before
            asyncio.run(process.on_tick(tick + 1))
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
