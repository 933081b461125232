"""The embedded PostgreSQL server of one home: loopback TCP only, password authentication, its own session.

Safe against two commands at once (a file lock), against kills and power cuts at any point (see ``cluster`` and
``postmaster``), and as root (see ``privileges``).
"""

import subprocess
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812
from sqlalchemy import NullPool, create_engine
from sqlalchemy.engine import URL, make_url

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.binaries import Binaries, find_binaries
from sigmasight_assets.services.cluster import RELOCATION_ROOT, SUPERUSER, Cluster
from sigmasight_assets.services.home import Home, read_text, write_atomically
from sigmasight_assets.services.locks import file_lock
from sigmasight_assets.services.ports import LOOPBACK, free_port, is_free
from sigmasight_assets.services.postmaster import clear_leftovers, running_server, stop_server
from sigmasight_assets.services.privileges import ServerUser, server_environment, server_user
from sigmasight_assets.services.processes import is_alive, last_lines, log_position, signals_deferred, spawn
from sigmasight_assets.storage.roles import set_password

DATABASE = "sigmasight"
# Given at every start, so data directories made by an earlier version run with today's settings too.
SERVER_OPTIONS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "synchronous_commit": "on",
    # Plans of whole-market queries cost enough to trigger compilation that takes longer than the query.
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}
# Recovery after a kill replays up to max_wal_size.
START_SECONDS = 300.0
LOCK_SECONDS = 400.0
PORT_ATTEMPTS = 5
# The server logs every early attempt, so they become rarer while it recovers.
SHORTEST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class PostgresStatus:
    """What ``sigmasight db status`` shows of the server."""

    running: bool
    pid: int | None
    port: int | None
    data_directory: Path | None


class EmbeddedPostgres:
    """Starts, stops and describes the server of a home; no state of its own beyond the home's files."""

    def __init__(
        self, home: Path, *, relocation_root: Path = RELOCATION_ROOT, options: Mapping[str, str] | None = None
    ) -> None:
        """``options`` override server settings, ``relocation_root`` serves root where others cannot enter."""
        self._home = Home.at(home)
        self._cluster = Cluster(self._home, relocation_root)
        self._options = {**SERVER_OPTIONS, **(options or {})}
        self._started: psutil.Process | None = None

    def start(self) -> None:
        """Bring the server up, or use the one that runs; its database exists and answers afterwards.

        Raises ``ServiceError`` with the reason and the way out.
        """
        self._home.create()
        try:
            with self._lock():
                self._start()
        except (OSError, subprocess.SubprocessError) as error:
            raise ServiceError(f"Cannot start PostgreSQL: {error}") from error

    def stop(self) -> None:
        """End the server, if it runs, with everything committed kept."""
        if not self._home.exists():
            return
        with self._lock():
            data = self._cluster.data
            server = data and (running_server(data) or self._started)
            if data and server:
                stop_server(server, data)

    def status(self) -> PostgresStatus:
        """Whether the server runs, and where."""
        data = self._cluster.data if self._home.exists() else None
        server = running_server(data) if data else None
        return PostgresStatus(server is not None, server and server.pid, self._port if data else None, data)

    def url(self, database: str = DATABASE) -> str:
        """SQLAlchemy URL with the password; ``ServiceError`` before the first start."""
        password, port = (self._cluster.password, self._port) if self._home.exists() else (None, None)
        if password is None or port is None:
            raise ServiceError(f"{self._home.root} has no database yet: run `sigmasight db up`.")
        return URL.create(
            "postgresql+psycopg2", SUPERUSER, password, host=LOOPBACK, port=port, database=database
        ).render_as_string(hide_password=False)

    def url_as(self, role: str) -> str:
        """SQLAlchemy URL of a role of the API, which is let in with a password of this home; the server runs."""
        password = self._cluster.password_of(role)
        engine = create_engine(self.url(), poolclass=NullPool)
        with engine.begin() as connection:
            set_password(connection, role, password)
        url = make_url(self.url()).set(username=role, password=password)
        return url.render_as_string(hide_password=False)

    @property
    def _port(self) -> int | None:
        text = read_text(self._home.postgres / "port")
        return int(text) if text else None

    @property
    def _log(self) -> Path:
        return self._home.logs / "postgres.log"

    def _lock(self) -> AbstractContextManager[None]:
        return file_lock(
            self._home.run / "postgres.lock", purpose="starting or stopping PostgreSQL", wait_seconds=LOCK_SECONDS
        )

    def _start(self) -> None:
        data = self._cluster.data
        server = running_server(data) if data else None
        if data and server and self._port is None:
            # Its port file was removed, so nobody can find it.
            stop_server(server, data)
            server = None
        if server is None or not self._answers(server):
            self._launch()
        self._create_database()

    def _launch(self) -> None:
        user = server_user(self._cluster.data or self._home.postgres / "data")
        binaries = self._cluster.runnable(find_binaries(self._cluster.major), user)
        data = self._cluster.data or self._cluster.initialise(binaries, user)
        clear_leftovers(data)
        for _ in range(PORT_ATTEMPTS):
            port = self._choose_port()
            log_start = log_position(self._log)
            with signals_deferred():
                self._started = self._spawn(binaries, user, data, port)
            if self._answers(self._started):
                return
            output = last_lines(self._log, start=log_start)
            if "Address already in use" not in output:
                break
        raise ServiceError(f"PostgreSQL does not start ({self._log}):\n{output}")

    def _choose_port(self) -> int:
        """The remembered port, or another one when it was taken since."""
        port = self._port
        if port is None or not is_free(port):
            port = free_port()
            write_atomically(self._home.postgres / "port", str(port))
        return port

    def _spawn(self, binaries: Binaries, user: ServerUser, data: Path, port: int) -> psutil.Process:
        settings = {**self._options, "port": str(port)}
        arguments = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        record = spawn(
            [str(binaries.postgres), "-D", str(data), *arguments],
            log=self._log,
            environment=server_environment(),
            user=user.uid,
            group=user.gid,
            groups=user.groups,
            directory=Path("/"),
        )
        return psutil.Process(record.pid)

    def _answers(self, server: psutil.Process) -> bool:
        """Wait until the server takes queries; false when it ends instead."""
        deadline = time.monotonic() + START_SECONDS
        pause = SHORTEST_PAUSE_SECONDS
        while is_alive(server):
            try:
                self._connect().close()
            except psycopg2.OperationalError as error:
                if "authentication failed" in str(error):
                    raise ServiceError(
                        f"The password in {self._home.postgres / 'password'} is not the database's: restore the file."
                    ) from error
            else:
                return True
            if time.monotonic() > deadline:
                raise ServiceError(f"PostgreSQL does not answer within {START_SECONDS:.0f} s: see {self._log}")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        return False

    def _connect(self) -> Connection:
        return psycopg2.connect(
            host=LOOPBACK,
            port=self._port,
            user=SUPERUSER,
            password=self._cluster.password,
            dbname="postgres",
            connect_timeout=5,
        )

    def _create_database(self) -> None:
        connection = self._connect()
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("select 1 from pg_database where datname = %s", (DATABASE,))
                if cursor.fetchone() is None:
                    cursor.execute(f'create database "{DATABASE}"')
                # The API's roles have nothing to look for in the others.
                cursor.execute("revoke all on database postgres, template1 from public")
        finally:
            connection.close()
