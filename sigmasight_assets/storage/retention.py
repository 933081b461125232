"""Years of figures: what they take on disk, and how those of old years go.

Whether they may go is decided in ``operations.retention``; their archive is in ``archives``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from sigmasight_assets.storage.figures import PRODUCT_TABLES
from sigmasight_assets.storage.ledger_tables import publications
from sigmasight_assets.storage.metadata import FIRST_PARTITION_YEAR, METADATA
from sigmasight_assets.storage.tables import factor_covariances, symbol_exclusions

PARTITIONED = tuple(name for name, table in METADATA.tables.items() if table.info.get("partitioned"))
# Of every product, by session and partitioned by year.
FIGURE_TABLES = {source.table.name: source.date_column for source in PRODUCT_TABLES.values()}
# What else is stored of a session's figures; small, and not partitioned.
SIDE_TABLES = {table.name: "session" for table in (symbol_exclusions, factor_covariances, publications)}
# Snapshots are published in the same ledger, and stay.
ONLY = {publications.name: "layer = 'symbol'"}

PARTITIONS = sa.text("""
SELECT parent.relname AS table, child.relname AS partition, greatest(child.reltuples, 0)::bigint AS rows,
       pg_total_relation_size(child.oid) AS bytes
FROM pg_inherits
JOIN pg_class AS parent ON parent.oid = inhparent
JOIN pg_class AS child ON child.oid = inhrelid
WHERE parent.relname = ANY(:names) AND parent.relnamespace = CAST('public' AS regnamespace)
ORDER BY parent.relname, child.relname
""")


@dataclass(frozen=True, slots=True)
class Partition:
    """A year of a table, None for other dates; ``rows`` is the server's estimate, ``bytes`` are with the indexes."""

    table: str
    year: int | None
    rows: int
    bytes: int


def read_partitions(connection: sa.Connection) -> list[Partition]:
    """The partitions of all partitioned tables, by table and year."""
    found = connection.execute(PARTITIONS, {"names": list(PARTITIONED)})
    return [Partition(row.table, _year(row.partition), row.rows, row.bytes) for row in found]


def _year(partition: str) -> int | None:
    suffix = partition.rpartition("_")[2]
    return None if suffix == "rest" else int(suffix.removeprefix("y"))


def condition(table: str) -> str:
    """Which rows of a table are of a year: those with a date from ``$1`` on and before ``$2``."""
    column = {**FIGURE_TABLES, **SIDE_TABLES}[table]
    return " AND ".join(filter(None, (f"{column} >= $1 AND {column} < $2", ONLY.get(table))))


def year_bounds(year: int) -> tuple[date, date]:
    """The first day of a year and of the next."""
    return date(year, 1, 1), date(year + 1, 1, 1)


def read_figure_years(connection: sa.Connection) -> list[int]:
    """Years of which figures or publications of symbols are stored, ascending."""
    years: set[int] = set()
    for table, column in SIDE_TABLES.items():
        years |= _years_of(connection, table, column, where=ONLY.get(table, "true"))
    for table, column in FIGURE_TABLES.items():
        years |= _years_of(connection, f"{table}_rest", column)
    # A look into each partition, where reading the dates of all rows would take a minute.
    for item in read_partitions(connection):
        if item.table in FIGURE_TABLES and item.year is not None:
            is_used = sa.text(f"SELECT EXISTS (TABLE {item.table}_y{item.year})")
            years |= {item.year} if connection.execute(is_used).scalar_one() else set()
    return sorted(years)


def _years_of(connection: sa.Connection, table: str, column: str, *, where: str = "true") -> set[int]:
    query = f"SELECT DISTINCT extract(year FROM {column})::int FROM {table} WHERE {where}"
    return set(connection.exec_driver_sql(query).scalars())


def is_partitioned_year(connection: sa.Connection, year: int) -> bool:
    """Whether every table of figures has a partition of the year."""
    known = {(item.table, item.year) for item in read_partitions(connection)}
    return year >= FIRST_PARTITION_YEAR and all((table, year) in known for table in FIGURE_TABLES)


def drop_years(connection: sa.Connection, years: Sequence[int]) -> dict[str, int]:
    """Empty the years' partitions of figures and delete what else is stored of their sessions; rows of the latter.

    A partition is truncated: its files go at once, as when it is dropped, and an empty one stays where the migrations
    made it, so no row of the year can ever fall into the partition of other dates.
    """
    partitions = [f"{table}_y{year}" for table in FIGURE_TABLES for year in years]
    connection.execute(sa.text(f"TRUNCATE {', '.join(partitions)}"))
    deleted: dict[str, int] = {}
    for table in SIDE_TABLES:
        for year in years:
            first, end = year_bounds(year)
            statement = f"DELETE FROM {table} WHERE {condition(table)}".replace("$1", ":first").replace("$2", ":end")
            gone: sa.CursorResult[Any] = connection.execute(sa.text(statement), {"first": first, "end": end})
            deleted[table] = deleted.get(table, 0) + gone.rowcount
    return deleted
