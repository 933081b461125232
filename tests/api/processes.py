"""The API as processes of its own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from sigmasight_assets.storage.database import Database
from tests.api.conftest import wait_until
from tests.api.market import NOW

# A process of its own begins with all imports, on a machine that may be busy.
START_SECONDS = 120.0


@dataclass
class Process:
    """A server process and, after the block, what it wrote."""

    http: httpx.Client
    pid: int
    port: int
    log: str = ""


def server_process(database: Database, directory: Path, **environment: str) -> AbstractContextManager[Process]:
    """The command of ``make run``, on a free port, with more in its environment if wanted."""
    return server_processes(database, directory, 1, environment)


@contextmanager
def server_processes(
    database: Database, directory: Path, processes: int, environment: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """The same by so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = directory / "server.log"
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "sigmasight_api.server", "--port", str(port), "--processes", str(processes)],
            cwd=directory,
            env={**os.environ, "SIGMASIGHT_DATABASE_URL": database.url, "SIGMASIGHT_NOW": NOW, **(environment or {})},
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
            wait_until(is_ready, seconds=START_SECONDS)
            yield process
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(timeout=30)
            process.log = log.read_text(encoding="utf-8")
