"""The schema's versions: run the migrations, tell whether the database is current.

Importing this module registers every table in ``METADATA``.
"""

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage import book_tables, ledger_tables, operations_tables, tables
from sigmasight_assets.storage.engine import create_engine, readable_errors, without_password
from sigmasight_assets.storage.roles import ensure_roles

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
DAGSTER_SCHEMA = "dagster"
TABLE_MODULES = (tables, book_tables, ledger_tables, operations_tables)


def alembic_config(url: str) -> Config:
    """Alembic's configuration for the database, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["url"] = url
    return config


def migrate(url: str, *, progress: Callable[[int, int], None] | None = None) -> str:
    """Bring the schema to the newest version, with partitions of coming years and rights of the API's roles.

    Returns its revision; ``progress`` is told how many of so many migrations are made.
    """
    # It brings what moves bulk along, which commands that only ask for the schema's version need not pay.
    from sigmasight_assets.storage.partitions import ensure_partitions, read_last_year  # noqa: PLC0415

    with readable_errors(url):
        engine = create_engine(url)
        try:
            with engine.begin() as connection:
                connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {DAGSTER_SCHEMA}"))
            _upgrade(url, progress)
            with engine.begin() as connection:
                ensure_partitions(connection, through=read_last_year(connection))
            with engine.begin() as connection:
                ensure_roles(connection)
        finally:
            engine.dispose()
    return newest_revision()


def _upgrade(url: str, progress: Callable[[int, int], None] | None) -> None:
    config = alembic_config(url)
    # The environment of the migrations calls it.
    config.attributes["progress"] = progress
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageError(
            f"The database {without_password(url)} cannot be migrated: {error}. "
            "A newer version of SigmaSight made it: use that one."
        ) from error


def newest_revision() -> str:
    """The revision this code was written for."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    revision = ScriptDirectory.from_config(config).get_current_head()
    if revision is None:
        raise StorageError(f"No migration found in {MIGRATIONS}: the checkout is incomplete")
    return revision


def current_revision(engine: sa.Engine) -> str | None:
    """The revision the database is at, or None when it was never migrated."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def require_current(url: str) -> None:
    """Raise ``StorageError`` when the database is away or its schema is not this code's."""
    engine = create_engine(url)
    try:
        with readable_errors(url):
            found = current_revision(engine)
    finally:
        engine.dispose()
    if found != newest_revision():
        raise StorageError(
            f"The database {without_password(url)} is at schema {found or 'none'}, this version needs "
            f"{newest_revision()}. Run `sigmasight db migrate`."
        )
