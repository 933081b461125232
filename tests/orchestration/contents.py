"""What tables hold, row by row and exactly: two readings are equal when not a single stored value differs."""

import json
import math
import time
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa

from sigmasight_assets.storage.database import Database

SYMBOL_TABLES = {
    "symbol_market_beta": ("session", "symbol"),
    "symbol_ir_beta": ("session", "symbol"),
    "symbol_ridge_factors": ("session", "symbol"),
    "symbol_spread_factors": ("session", "symbol"),
    "symbol_daily_metrics": ("metrics_date", "symbol"),
    "factor_covariances": ("session",),
    "symbol_exclusions": ("session", "symbol", "product"),
    "symbol_universe": ("symbol",),
    "publications": ("generation", "layer", "session"),
}
PRICE_TABLES = {
    "symbol_prices_daily": ("symbol", "price_date"),
    "price_quarantine": ("quarantine_id",),
    "restatements": ("restatement_id",),
    "symbol_universe": ("symbol",),
}
PORTFOLIO_TABLES = {
    "portfolio_snapshots": ("portfolio_id", "session"),
    "portfolio_lot_values": ("portfolio_id", "session"),
    "portfolio_exposures": ("portfolio_id", "session"),
    "option_expiries": ("portfolio_id", "position_id"),
    "snapshot_inputs": ("session",),
    "portfolios": ("portfolio_id",),
    "publications": ("generation", "layer", "session"),
}
Contents = dict[str, dict[tuple[Any, ...], str]]


def contents(
    database: Database,
    tables: Mapping[str, tuple[str, ...]],
    *,
    ignoring: Iterable[str] = (),
    since: date | None = None,
) -> Contents:
    """Every row of the tables as PostgreSQL's own exact text, by table and key.

    ``ignoring`` names columns to leave out; with ``since`` the first column of each key is a date, and older rows
    are left out.
    """
    left_out = ", ".join(f"'{name}'" for name in ignoring)
    row = f"(to_jsonb(each) - ARRAY[{left_out}])::text" if left_out else "each::text"
    found: Contents = {}
    with database.begin() as connection:
        for table, key in tables.items():
            newer = f" WHERE {key[0]} >= '{since}'" if since else ""
            rows = connection.execute(sa.text(f"SELECT {', '.join(key)}, {row} FROM {table} AS each{newer}"))
            found[table] = {tuple(keys): text for *keys, text in rows}
    return found


def changed_keys(before: Contents, after: Contents, table: str) -> set[tuple[Any, ...]]:
    """Keys of the rows of a table that came, went or differ."""
    old, new = before[table], after[table]
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


def assert_same_figures(found: Contents, expected: Contents) -> None:
    """Equal in every stored value, floats up to what the order of summation costs.

    A matrix product over other sessions adds up in another order; fingerprints are of the inputs and equal exactly.
    """
    assert {table: rows.keys() for table, rows in found.items()} == {
        table: rows.keys() for table, rows in expected.items()
    }
    for table, rows in found.items():
        for key, row in rows.items():
            other = expected[table][key]
            assert row == other or _same(json.loads(row), json.loads(other)), (table, key, row, other)


def _same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return left.keys() == right.keys() and all(_close(value, right[name]) for name, value in left.items())


def _close(left: Any, right: Any) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_close(*pair) for pair in zip(left, right, strict=True))
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-11, abs_tol=1e-13)
    return bool(left == right)


def rows_of(database: Database, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    """The rows of a query."""
    with database.begin() as connection:
        return [dict(row) for row in connection.execute(sa.text(sql), parameters).mappings()]


def execute(database: Database, sql: str, **parameters: Any) -> None:
    """Run a statement as an operator with direct access would."""
    with database.begin() as connection:
        connection.execute(sa.text(sql), parameters)


def published_generations(database: Database, layer: str) -> dict[date, int]:
    """The newest generation of each session of a layer."""
    sql = "SELECT session, max(generation) AS newest FROM publications WHERE layer = :layer GROUP BY session ORDER BY 1"
    return {row["session"]: row["newest"] for row in rows_of(database, sql, layer=layer)}


def wait_for_waiters(database: Database, count: int) -> None:
    """Return once so many transactions of the database wait for a layer's lock."""
    sql = (
        "SELECT count(*) AS waiting FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
        "WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
    )
    deadline = time.monotonic() + 30
    while rows_of(database, sql)[0]["waiting"] < count:
        assert time.monotonic() < deadline, f"no {count} transactions wait for a lock"
        time.sleep(0.01)


def wait_for_statement(database: Database) -> None:
    """Return once a statement of the database waits for a lock of any kind."""
    sql = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    deadline = time.monotonic() + 30
    while not rows_of(database, sql):
        assert time.monotonic() < deadline, "nothing waits for a lock"
        time.sleep(0.01)
