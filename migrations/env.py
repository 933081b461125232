"""Alembic environment: runs the revisions of ``versions/`` against the URL handed over by ``storage.schema``."""

import re

from alembic import context

from sigmasight_assets.storage.engine import create_engine
from sigmasight_assets.storage.metadata import METADATA

YEAR_PARTITION = re.compile(r"_(y\d{4}|rest)$")


def _is_ours(_object: object, name: str | None, kind: str, reflected: bool, _compared: object) -> bool:
    """Leave year partitions to the migration that makes them."""
    return not (kind == "table" and reflected and name is not None and YEAR_PARTITION.search(name))


def _run() -> None:
    engine = create_engine(context.config.attributes["url"])
    try:
        with engine.connect() as connection:
            context.configure(
                connection=connection,
                target_metadata=METADATA,
                include_object=_is_ours,
                compare_type=True,
                transaction_per_migration=True,
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
