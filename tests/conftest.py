"""One embedded PostgreSQL server for the whole test run, and fresh databases on it."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import make_url

from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.roles import ROLES, set_password
from sigmasight_assets.storage.schema import migrate

pytest_plugins = ["tests.faults.campaign"]

# The server is thrown away, so nothing waits for the disk.
VOLATILE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}

# Of the API's roles, which all databases of the test run's server share.
ROLE_PASSWORD = "a role's password"

# Gives the URL of a new database, a copy of the named one, for the time of a `with` block.
NewDatabase = Callable[[str], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def open_directory() -> Iterator[Path]:
    """A directory every user may pass through, as the database server of a test run by root must."""
    directory = Path(tempfile.mkdtemp(prefix="sigmasight-tests-")).resolve()
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgres_url(open_directory: Path) -> Iterator[str]:
    """SQLAlchemy URL of the superuser on the test run's server, database ``sigmasight``, which stays empty."""
    home = open_directory / "home"
    server = EmbeddedPostgres(home, relocation_root=open_directory / "relocated", options=VOLATILE)
    try:
        server.start()
        yield server.url()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def new_database(postgres_url: str) -> NewDatabase:
    """A function that makes databases: ``with new_database("template1") as url``."""
    server = create_engine(postgres_url, isolation_level="AUTOCOMMIT", pool_size=1)

    @contextmanager
    def database(template: str) -> Iterator[str]:
        name = f"test_{uuid4().hex}"
        with server.connect() as connection:
            # Copying files takes half as long as writing every page to the log.
            connection.execute(text(f'create database "{name}" template "{template}" strategy file_copy'))
        server.dispose()
        try:
            yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        finally:
            with server.connect() as connection:
                connection.execute(text(f'drop database "{name}" with (force)'))
            server.dispose()

    return database


@contextmanager
def opened(new_database: NewDatabase, template: str) -> Iterator[Database]:
    """A new database, a copy of the named one, for the time of a `with` block."""
    with new_database(template) as url, closing(Database(url)) as database:
        yield database


@pytest.fixture
def database_url(new_database: NewDatabase) -> Iterator[str]:
    """A fresh, empty database for one test."""
    with new_database("template1") as url:
        yield url


@pytest.fixture(scope="session")
def schema_template(new_database: NewDatabase) -> Iterator[str]:
    """Name of a database with the current schema and no rows, to copy."""
    with new_database("template1") as url:
        migrate(url)
        yield str(make_url(url).database)


@pytest.fixture
def database(new_database: NewDatabase, schema_template: str) -> Iterator[Database]:
    """A fresh database with the current schema."""
    with opened(new_database, schema_template) as handle:
        yield handle


@pytest.fixture
def role_passwords(postgres_url: str) -> Iterator[None]:
    """For tests that change the passwords of the API's roles: they are put back."""
    yield
    engine = create_engine(postgres_url, poolclass=NullPool)
    with engine.begin() as connection:
        for role in ROLES:
            set_password(connection, role, ROLE_PASSWORD)
