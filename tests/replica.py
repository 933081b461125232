"""A streaming replica of a test's PostgreSQL server: read-only, asynchronous, and as late as a test wants it.

It is made by the primary's own programs, runs as the primary's user, and is gone after the block.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from sigmasight_assets.services.ports import LOOPBACK, free_port
from sigmasight_assets.services.postmaster import running_server, stop_server
from sigmasight_assets.services.privileges import ServerUser, server_environment, server_user
from sigmasight_assets.services.processes import is_alive, last_lines, spawn

COPY_SECONDS = 120.0
# Long enough for busy machines; nothing is judged by it.
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Replica:
    """A running replica; ``url`` is the SQLAlchemy URL of the primary's database on it, with the primary's user.

    Roles and their passwords are those of the primary, so the URL of a role is ``url_as``.
    """

    url: str = field(repr=False)
    primary_url: str = field(repr=False)
    server: psutil.Process

    def url_as(self, role: str, password: str) -> str:
        """The same database as a role of the primary."""
        return make_url(self.url).set(username=role, password=password).render_as_string(hide_password=False)

    def url_of(self, database: str) -> str:
        """Another database of the primary, as soon as its creation has been replayed."""
        return make_url(self.url).set(database=database).render_as_string(hide_password=False)

    def pause(self) -> None:
        """Stop replaying: what the primary commits from now on is received, and not seen here.

        Returns when replay stands still; a statement that is under way keeps its snapshot all the same.
        """
        self._ask("SELECT pg_wal_replay_pause()")
        self._wait_until("SELECT pg_get_wal_replay_pause_state() = 'paused'", "replay does not pause")

    def resume(self) -> None:
        """Replay again; ``catch_up`` waits until the rest is replayed."""
        self._ask("SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        """Return when everything that the primary has committed by now is seen here."""
        # A commit that is on its way takes everything before it along, also where commits do not wait for the disk.
        _ask(self.primary_url, "SET synchronous_commit = local; SELECT pg_logical_emit_message(true, 'replica', '')")
        written = _ask(self.primary_url, "SELECT pg_current_wal_flush_lsn()::text")
        self._wait_until(f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn", f"replay does not reach {written}")

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Stop all processes of the replica for the block: the kernel answers for them, they never do."""
        # The first one makes the others, so none is missed.
        self.server.suspend()
        stopped = self.server.children(recursive=True)
        for process in stopped:
            process.suspend()
        try:
            yield
        finally:
            for process in (*stopped, self.server):
                process.resume()

    @contextmanager
    def stuck_with(self, table: str, database_url: str) -> Iterator[None]:
        """Have replay stand still with a lock of a table of the primary's database, which whoever reads it here awaits.

        On the primary the lock is gone when the block begins.
        """
        engine = sa.create_engine(database_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            self.catch_up()
            self.pause()
        try:
            yield
        finally:
            self.resume()

    def lag_bytes(self) -> int:
        """Bytes of the log that the primary has written and that are not replayed here."""
        written = _ask(self.primary_url, "SELECT pg_current_wal_insert_lsn()::text")
        return int(self._ask(f"SELECT pg_wal_lsn_diff('{written}', pg_last_wal_replay_lsn())::bigint"))

    def _wait_until(self, question: str, otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._ask(question):
            if time.monotonic() > deadline:
                raise AssertionError(f"{otherwise} within {PATIENCE_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def _ask(self, question: str) -> Any:
        return _ask(self.url, question)


@contextmanager
def streaming_replica(primary_url: str, parent: Path, *, options: Mapping[str, str] | None = None) -> Iterator[Replica]:
    """A replica of the server for the block.

    ``primary_url`` is a superuser's SQLAlchemy URL of a server on this machine, such as the fixture ``postgres_url`` or
    ``OwnServer.server.url()``; ``parent`` a directory that every user may pass through (the fixture
    ``open_directory``). ``options`` are settings of the replica, such as ``max_standby_streaming_delay``.
    """
    data_directory = Path(_ask(primary_url, "SHOW data_directory"))
    primary = running_server(data_directory)
    assert primary is not None, f"no server runs on {data_directory}"
    programs, user = Path(primary.exe()).parent, server_user(data_directory)
    place = Path(tempfile.mkdtemp(prefix="replica-", dir=parent))
    user.give(place)
    url = make_url(primary_url).set(port=free_port())
    server = None
    try:
        _copy(programs, user, make_url(primary_url), place / "data")
        server = _start(programs, user, place, url, options or {})
        replica = Replica(url.render_as_string(hide_password=False), primary_url, server)
        replica.catch_up()
        yield replica
    finally:
        if server is not None and is_alive(server):
            stop_server(server, place / "data")
        shutil.rmtree(place)


def _copy(programs: Path, user: ServerUser, primary: URL, data: Path) -> None:
    """Copy the primary's files while it runs, with what makes the copy follow it."""
    source = primary.set(drivername="postgresql", database=None).render_as_string(hide_password=False)
    options = ("--wal-method=stream", "--checkpoint=fast", "--no-sync", "--write-recovery-conf")
    command = [str(programs / "pg_basebackup"), f"--dbname={source}", f"--pgdata={data}", *options]
    completed = user.run(command, timeout=COPY_SECONDS)
    assert completed.returncode == 0, completed.stdout


def _start(programs: Path, user: ServerUser, place: Path, url: URL, options: Mapping[str, str]) -> psutil.Process:
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(url.port),
        "unix_socket_directories": "",
        "fsync": "off",
        "shared_buffers": "64MB",
        "timezone": "UTC",
        "jit": "off",
        **options,
    }
    log = place / "replica.log"
    record = spawn(
        [
            *(str(programs / "postgres"), "-D", str(place / "data")),
            *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
        ],
        log=log,
        environment=server_environment(),
        user=user.uid,
        group=user.gid,
        groups=user.groups,
        directory=Path("/"),
    )
    server = psutil.Process(record.pid)
    address = url.render_as_string(hide_password=False)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while is_alive(server) and time.monotonic() < deadline:
        try:
            assert _ask(address, "SELECT pg_is_in_recovery()")
        except sa.exc.OperationalError:
            time.sleep(POLL_SECONDS)
        else:
            return server
    if is_alive(server):
        stop_server(server, place / "data")
    raise AssertionError(f"the replica does not answer:\n{last_lines(log)}")


def _ask(url: str, question: str) -> Any:
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        return connection.exec_driver_sql(question).scalar_one()
