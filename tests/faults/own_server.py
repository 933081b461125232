"""A database server of a test's own, with the settings that are shipped, to be ended at once and started again."""

import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psutil
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.services.processes import wait_gone
from sigmasight_assets.storage.schema import migrate

SHUTDOWN_SECONDS = 30.0


class OwnServer:
    """What is committed on it is on disk, and stays."""

    def __init__(self, directory: Path, options: Mapping[str, str]) -> None:
        self.server = EmbeddedPostgres(directory / "home", relocation_root=directory / "relocated", options=options)

    def start(self) -> None:
        """Bring it up; it answers afterwards."""
        self.server.start()

    def end_at_once(self) -> None:
        """What ``pg_ctl stop -m immediate`` does: no checkpoint, every connection is cut."""
        status = self.server.status()
        assert status.pid is not None
        process = psutil.Process(status.pid)
        process.send_signal(signal.SIGQUIT)
        assert not wait_gone([process], SHUTDOWN_SECONDS)

    def restart_at_once(self, *, away: float = 0.0) -> None:
        """What ``pg_ctl restart -m immediate`` does, with ``away`` seconds in between."""
        self.end_at_once()
        time.sleep(away)
        self.start()

    @contextmanager
    def new_database(self, template: str) -> Iterator[str]:
        """The URL of a copy of a database for the block."""
        name = f"test_{uuid4().hex}"
        # By its files: otherwise a server that is ended would have to write the copy once more when it comes up.
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        try:
            yield make_url(self.server.url()).set(database=name).render_as_string(hide_password=False)
        finally:
            self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """The URL of a database with the current schema and no rows, for the block."""
        with self.new_database("template1") as url:
            migrate(url)
            yield url

    @property
    def data_directory(self) -> Path:
        """Where it keeps everything."""
        directory = self.server.status().data_directory
        assert directory is not None
        return directory

    def execute(self, statement: str) -> None:
        """Run a statement of the whole server."""
        engine = sa.create_engine(self.server.url(), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.execute(sa.text(statement))


@contextmanager
def own_server(parent: Path, **options: str) -> Iterator[OwnServer]:
    """A server for the block, in a new directory below one that every user may pass through.

    ``options`` override settings that are shipped.
    """
    directory = Path(tempfile.mkdtemp(dir=parent))
    directory.chmod(0o711)
    server = OwnServer(directory, options)
    try:
        server.start()
        yield server
    finally:
        server.server.stop()
