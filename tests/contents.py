"""What a whole database holds, and how it is emptied."""

import sqlalchemy as sa

from sigmasight_assets.storage import schema
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.metadata import METADATA

# Filled by a migration.
KEPT_TABLES = ("factor_definitions",)

TABLES = [table for module in schema.TABLE_MODULES for table in vars(module).values() if isinstance(table, sa.Table)]


def contents(database: Database) -> list[tuple[str, str]]:
    """Every row of every table as text, in one order."""
    query = " UNION ALL ".join(f"SELECT '{table.name}', held::text FROM {table.name} AS held" for table in TABLES)
    with database.begin() as connection:
        return sorted((name, row) for name, row in connection.exec_driver_sql(query))


def clear(database: Database) -> None:
    """Delete every row that a test may have written."""
    names = [table.name for table in reversed(METADATA.sorted_tables) if table.name not in KEPT_TABLES]
    with database.begin() as connection:
        connection.exec_driver_sql("; ".join(f"DELETE FROM {name}" for name in names))
