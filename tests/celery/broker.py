"""A Redis of a test's own, with the settings that are shipped, to be ended at once and started again."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import psutil
import pytest
from redis import Redis
from redis.exceptions import RedisError

from sigmasight_assets.services.ports import LOOPBACK, free_port
from sigmasight_assets.services.processes import spawn, wait_gone
from sigmasight_assets.services.stack import CHECKOUT

SHIPPED = CHECKOUT / "docs" / "deployment" / "celery"
PASSWORD = "a-brokers-password"
WAIT_SECONDS = 30.0


def redis_server() -> str:
    """The program; without it tests are skipped, in CI they fail."""
    found = shutil.which("redis-server")
    if found is None:
        give_up("redis-server is not installed (Debian: apt-get install redis-server)")
    return found


def give_up(reason: str) -> NoReturn:
    """Skip the test for want of something, which CI has to have."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Broker:
    """What was written on it a second ago is on disk, and stays."""

    def __init__(self, directory: Path, addresses: Sequence[str] = (LOOPBACK,)) -> None:
        self._directory = directory
        self._address = addresses[-1]
        self._port = free_port()
        # By its id: a server that sets its title has no readable environment, and so no mark.
        self._process: psutil.Process | None = None
        directory.mkdir()
        text = (SHIPPED / "redis.conf").read_text(encoding="utf-8")
        for old, new in {
            "bind 127.0.0.1": f"bind {' '.join(addresses)}",
            "port 6379": f"port {self._port}",
            "CHANGE-ME": PASSWORD,
            "dir /var/lib/redis": f"dir {directory}",
        }.items():
            assert old in text, old
            text = text.replace(old, new)
        self._configuration = directory / "redis.conf"
        self._configuration.write_text(text)

    @property
    def url(self) -> str:
        """Where it answers, with its password."""
        return f"redis://:{PASSWORD}@{self._address}:{self._port}/0"

    def client(self) -> Redis:
        """A connection of the test's own."""
        return Redis(host=self._address, port=self._port, password=PASSWORD, socket_timeout=5)

    def waiting(self) -> list[bytes]:
        """The tasks in the queue of the workers."""
        with self.client() as client:
            return list(client.lrange("dagster", 0, -1))

    def start(self) -> None:
        """Bring it up; it answers afterwards."""
        program = redis_server()
        log = self._directory / "redis.log"
        record = spawn([program, str(self._configuration)], log=log, environment=dict(os.environ))
        self._process = psutil.Process(record.pid)
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

    def end_at_once(self) -> None:
        """As when its machine loses power, but for what the disk had taken over."""
        if self._process is not None:
            self._process.kill()
            assert not wait_gone([self._process], WAIT_SECONDS)
            self._process = None

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False


@contextmanager
def broker(directory: Path, addresses: Sequence[str] = (LOOPBACK,)) -> Iterator[Broker]:
    """A Redis for the block."""
    running = Broker(directory, addresses)
    try:
        running.start()
        yield running
    finally:
        running.end_at_once()
