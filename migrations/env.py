"""Alembic environment: runs the revisions of ``versions/`` against the URL handed over by ``storage.schema``."""

import re
from collections.abc import Callable
from itertools import count

from alembic import context
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from sigmasight_assets.storage.engine import create_engine
from sigmasight_assets.storage.metadata import METADATA

YEAR_PARTITION = re.compile(r"_(y\d{4}|rest)$")


def _is_ours(_object: object, name: str | None, kind: str, reflected: bool, _compared: object) -> bool:
    """Leave year partitions to the migration that makes them."""
    return not (kind == "table" and reflected and name is not None and YEAR_PARTITION.search(name))


def _teller(connection: Connection, progress: Callable[[int, int], None]) -> Callable[..., None]:
    """What Alembic calls after each migration: tells how many of those that lack are made."""
    current = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    newest_first = [item.revision for item in context.script.walk_revisions()]
    missing = newest_first.index(current) if current in newest_first else len(newest_first)
    made = count(1)

    def tell(**_: object) -> None:
        progress(next(made), missing)

    progress(0, missing)
    return tell


def _run() -> None:
    engine = create_engine(context.config.attributes["url"])
    progress = context.config.attributes.get("progress")
    try:
        with engine.connect() as connection:
            context.configure(
                connection=connection,
                target_metadata=METADATA,
                include_object=_is_ours,
                compare_type=True,
                transaction_per_migration=True,
                on_version_apply=_teller(connection, progress) if progress else None,
            )
            # A migration that waits for a reader would block every later reader behind it. Each has a transaction of
            # its own, so the setting is the connection's.
            connection.exec_driver_sql("SET lock_timeout = '5s'")
            connection.commit()
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()


_run()
