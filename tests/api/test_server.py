"""Tests of the server process: it serves and ends, and its log cannot be forged and tells no secret."""

import asyncio
import gc
import re
import resource
import socket
import sys
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from sigmasight_api.server import SETTLED_TICKS, LongRunning, configuration
from sigmasight_assets.storage.database import Database
from tests.api.conftest import bearer
from tests.api.market import add_token
from tests.api.processes import server_process


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


@pytest.mark.fault(33)
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


@pytest.mark.fault(25)
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
