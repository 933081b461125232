"""States of one database: filled once, kept in a schema of their own, and brought back for each test.

Copying a database copies a thousand files; this moves only rows.
"""

from collections.abc import Callable

import sqlalchemy as sa

from sigmasight_assets.storage import schema
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.metadata import METADATA

# Written by the migrations and by nothing else.
FIXED_TABLES = ("factor_definitions", "alembic_version")
TABLES = [table.name for table in METADATA.sorted_tables if table.name not in FIXED_TABLES]
# Truncating a partitioned table makes new files for each of its partitions, so only those that hold rows are.
FILLED = f"""
SELECT oid::regclass::text FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname NOT IN {FIXED_TABLES}
  AND pg_relation_size(oid) > 0
"""

Fill = Callable[[Database], None]


class States:
    """The database and the states that were kept of it."""

    def __init__(self, database: Database) -> None:
        schema.require_current(database.url)
        self.database = database
        self._kept: dict[str, list[str]] = {}

    def clear(self) -> None:
        """Remove all rows."""
        with self.database.begin() as connection:
            filled = connection.execute(sa.text(FILLED)).scalars().all()
            if filled:
                connection.execute(sa.text(f"TRUNCATE {', '.join(filled)} CASCADE"))

    def enter(self, name: str, fill: Fill) -> Database:
        """Bring the state back; the first time ``fill`` makes it from no rows."""
        self.clear()
        if name in self._kept:
            self._bring_back(name)
        else:
            fill(self.database)
            self._keep(name)
        return self.database

    def bring_back_live(self, name: str) -> None:
        """Bring a state back in one transaction, while others read and see either the old rows or the kept ones."""
        with self.database.begin() as connection:
            for table in reversed(TABLES):
                connection.execute(sa.text(f"DELETE FROM public.{table}"))
            self._insert(connection, name)

    def _keep(self, name: str) -> None:
        with self.database.begin() as connection:
            connection.execute(sa.text(f"CREATE SCHEMA {name}"))
            for table in TABLES:
                connection.execute(sa.text(f"CREATE TABLE {name}.{table} AS TABLE public.{table}"))
        self._kept[name] = [table for table in TABLES if self._has_rows(f"{name}.{table}")]

    def _bring_back(self, name: str) -> None:
        with self.database.begin() as connection:
            self._insert(connection, name)

    def _insert(self, connection: sa.Connection, name: str) -> None:
        for table in self._kept[name]:
            insert = f"INSERT INTO public.{table} OVERRIDING SYSTEM VALUE SELECT * FROM {name}.{table}"
            connection.execute(sa.text(insert))

    def _has_rows(self, table: str) -> bool:
        with self.database.begin() as connection:
            return connection.execute(sa.text(f"SELECT 1 FROM {table} LIMIT 1")).first() is not None
