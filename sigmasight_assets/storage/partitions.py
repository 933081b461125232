"""Partitions of coming years: every ``sigmasight db migrate`` makes those that lack, for some years ahead.

The first ones are a migration's. Rows of a year without one lie in the partition of other dates, ``<table>_rest``,
where nothing is lost and years cannot be dropped; they move when their year gets its own.
"""

import sqlalchemy as sa

from sigmasight_assets.storage.metadata import FIRST_PARTITION_YEAR, METADATA
from sigmasight_assets.storage.retention import PARTITIONED, read_partitions

# An installation that is never upgraded in the meantime still has a partition for its newest rows.
YEARS_AHEAD = 5
LOCK_TIMEOUT = "5s"


def read_last_year(connection: sa.Connection) -> int:
    """The last year that should have partitions, by the database's clock."""
    return int(connection.execute(sa.text("SELECT extract(year FROM now())::int")).scalar_one()) + YEARS_AHEAD


def ensure_partitions(connection: sa.Connection, *, through: int) -> list[int]:
    """Make the partitions that lack of all years up to this one; the years that any was made of, ascending.

    Readers and writers wait meanwhile, at most as long as the rows of such a year take to move; a table that is in use
    for longer than five seconds makes it fail, with nothing changed.
    """
    connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    known = {(item.table, item.year) for item in read_partitions(connection)}
    years = range(FIRST_PARTITION_YEAR, through + 1)
    missing = [(table, year) for year in years for table in PARTITIONED if (table, year) not in known]
    for table, year in missing:
        _make(connection, METADATA.tables[table], year)
    return sorted({year for _, year in missing})


def _make(connection: sa.Connection, table: sa.Table, year: int) -> None:
    """One partition: filled first, then attached, because rows may not be in two at once."""
    name, rest = f"{table.name}_y{year}", f"{table.name}_rest"
    column = _key(table)
    of_year = f"{column} >= '{year}-01-01' AND {column} < '{year + 1}-01-01'"
    bounds = f"FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
    for statement in (
        f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE",
        f"CREATE TABLE {name} (LIKE {table.name} INCLUDING ALL)",
        f"WITH moved AS (DELETE FROM {rest} WHERE {of_year} RETURNING *) INSERT INTO {name} TABLE moved",
        f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES {bounds}",
        f"ANALYZE {name}",
    ):
        connection.exec_driver_sql(statement)


def _key(table: sa.Table) -> str:
    """The column by whose date the table is partitioned."""
    rule = str(table.dialect_options["postgresql"]["partition_by"])
    return rule.removeprefix("RANGE (").removesuffix(")")
