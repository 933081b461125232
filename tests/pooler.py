"""A real PgBouncer in front of a test's PostgreSQL server, as Debian ships it."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from sigmasight_assets.services.ports import LOOPBACK, free_port
from sigmasight_assets.services.privileges import ServerUser, server_user
from sigmasight_assets.storage.engine import libpq_settings
from tests.documents import DOCS, blocks

PAGE = DOCS / "operator" / "database.md"
PATIENCE_SECONDS = 30.0
ADMIN = "pgbouncer"
Mode = Literal["session", "transaction"]


def pgbouncer() -> str:
    """The program; the test is skipped where it is not installed, and fails in CI."""
    found = shutil.which("pgbouncer", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("pgbouncer is not installed: apt-get install pgbouncer")
        pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    return found


@dataclass(frozen=True)
class Pooler:
    """A running pooler."""

    port: int
    log: Path
    password: str = field(repr=False)

    def through(self, url: str) -> str:
        """The same database and user by way of the pooler."""
        return make_url(url).set(host=LOOPBACK, port=self.port).render_as_string(hide_password=False)

    def show(self, what: str) -> list[dict[str, Any]]:
        """What ``SHOW POOLS`` and the like tell."""
        connection = psycopg2.connect(host=LOOPBACK, port=self.port, user=ADMIN, password=self.password, dbname=ADMIN)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"SHOW {what}")
                assert cursor.description is not None
                names = [column.name for column in cursor.description]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        finally:
            connection.close()


def documented_settings() -> str:
    """The configuration of the operators' document."""
    (found,) = (
        block.body for block in blocks(PAGE.read_text(encoding="utf-8")) if block.info.endswith("pgbouncer.ini")
    )
    return found


@contextmanager
def pooler(parent: Path, *urls: str, mode: Mode, connections: int = 3, **settings: str) -> Iterator[Pooler]:
    """A pooler for the block, in front of the server of these URLs; each may bring another user and password.

    Its settings are those of the document, but for ``mode``, the number of ``connections`` to the server for each
    database and user, and other ``settings``.
    """
    program, user = pgbouncer(), server_user(Path("/nonexistent"))
    directory = Path(tempfile.mkdtemp(prefix="pooler-", dir=parent))
    users = {str(part.username): str(part.password) for part in map(make_url, urls)} | {ADMIN: "shown to tests"}
    try:
        server = libpq_settings(urls[0])
        changes = {
            "listen_addr": LOOPBACK,
            "listen_port": str(free_port()),
            "auth_file": str(directory / "users"),
            "logfile": str(directory / "pooler.log"),
            "pidfile": "",
            "pool_mode": mode,
            "default_pool_size": str(connections),
            "admin_users": ADMIN,
            "unix_socket_dir": "",
            "server_tls_sslmode": "prefer",
            "client_tls_sslmode": "disable",
            **settings,
        }
        files = {
            "users": "".join(f'"{name}" "{password}"\n' for name, password in users.items()),
            "pooler.ini": _changed(documented_settings(), f"* = host={LOOPBACK} port={server['port']}", changes),
        }
        for name, content in files.items():
            (directory / name).write_text(content, encoding="utf-8")
            user.give(directory / name)
        user.give(directory)
        running = Pooler(int(changes["listen_port"]), directory / "pooler.log", users[ADMIN])
        with _process(program, user, directory / "pooler.ini"):
            _await(running)
            yield running
    finally:
        shutil.rmtree(directory)


def _changed(text: str, databases: str, settings: Mapping[str, str]) -> str:
    """The documented file with other values; the database of the document is that of the test."""
    left, lines = dict(settings), []
    for line in text.splitlines():
        name = line.partition("=")[0].strip()
        if line.startswith("sigmasight ="):
            lines.append(databases)
        elif name in left:
            lines.append(f"{name} = {left.pop(name)}")
        elif (
            "sslrootcert" not in line
            and "_tls_ca_file" not in line
            and "_tls_cert" not in line
            and "_tls_key" not in line
        ):
            lines.append(line)
    return "\n".join([*lines, *(f"{name} = {value}" for name, value in left.items()), ""])


@contextmanager
def _process(program: str, user: ServerUser, configuration: Path) -> Iterator[None]:
    process = subprocess.Popen(
        [program, "--quiet", str(configuration)],
        user=user.uid,
        group=user.gid,
        extra_groups=user.groups,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _await(running: Pooler) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            running.show("VERSION")
        except psycopg2.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
