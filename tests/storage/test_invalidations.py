"""Tests of the marks of figures that await recomputation: merged when set again, cleared only as they were read."""

from datetime import date
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.invalidations import (
    MARK_SCHEMA,
    Invalidation,
    clear_invalidations,
    mark_bar_invalid,
    mark_invalid,
    newest_published_session,
    read_invalidations,
    read_outdated_symbols,
)
from sigmasight_assets.storage.publications import Publication, record_publications
from sigmasight_assets.storage.tables import symbol_daily_metrics, symbol_universe
from tests.storage.rows import ROWS

MAY, JUNE, JULY = date(2025, 5, 30), date(2025, 6, 27), date(2025, 7, 31)

Mark = tuple[str, date, date, bool, date | None]


def mark(database: Database, *marks: Mark, run_id: str = "r1") -> None:
    rows = [dict(zip(MARK_SCHEMA.names, item, strict=True)) for item in marks]
    with database.bulk() as transaction:
        mark_invalid(transaction, pa.Table.from_pylist(rows, schema=MARK_SCHEMA), run_id=run_id)


def read(database: Database) -> list[Invalidation]:
    with database.bulk(read_only=True) as transaction:
        return read_invalidations(transaction)


def marks_of(database: Database) -> list[Mark]:
    return [
        (item.symbol, item.first_session, item.last_session, item.has_new_returns, item.actions_from)
        for item in read(database)
    ]


def clear(database: Database, *items: Invalidation) -> None:
    with database.bulk() as transaction:
        clear_invalidations(transaction, items)


def run_ids(database: Database) -> dict[str, str]:
    with database.begin() as connection:
        rows: Any = connection.exec_driver_sql("SELECT symbol, run_id FROM figure_invalidations")
        return {row.symbol: row.run_id for row in rows}


def test_marks_are_read_by_symbol(database: Database) -> None:
    assert read(database) == []
    mark(database, ("BBB", MAY, JUNE, True, None), ("AAA", JUNE, JUNE, False, JUNE))
    assert marks_of(database) == [("AAA", JUNE, JUNE, False, JUNE), ("BBB", MAY, JUNE, True, None)]
    assert all(item.marked_at.tzinfo is not None for item in read(database))
    assert run_ids(database) == {"AAA": "r1", "BBB": "r1"}


def test_a_symbol_marked_again_is_marked_for_both(database: Database) -> None:
    mark(database, ("AAA", JUNE, JUNE, True, None), ("BBB", MAY, JUNE, False, JUNE), ("CCC", MAY, MAY, False, None))
    before = {item.symbol: item.marked_at for item in read(database)}
    mark(database, ("AAA", MAY, MAY, False, MAY), ("BBB", JUNE, JULY, True, MAY), run_id="r2")
    assert marks_of(database) == [
        ("AAA", MAY, JUNE, True, MAY),
        ("BBB", MAY, JULY, True, MAY),
        ("CCC", MAY, MAY, False, None),
    ]
    assert run_ids(database) == {"AAA": "r2", "BBB": "r2", "CCC": "r1"}
    after = {item.symbol: item.marked_at for item in read(database)}
    assert [after[symbol] > before[symbol] for symbol in ("AAA", "BBB", "CCC")] == [True, True, False]


def test_marks_of_one_transaction_are_told_apart(database: Database) -> None:
    one = pa.Table.from_pylist([{"symbol": "AAA", "first_session": MAY, "last_session": MAY}], schema=MARK_SCHEMA)
    one = one.set_column(3, "has_new_returns", pa.array([False]))
    with database.bulk() as transaction:
        times = []
        for _ in range(2):
            mark_invalid(transaction, one, run_id="r1")
            times.append(read_invalidations(transaction)[0].marked_at)
    assert times[0] < times[1]


def test_one_bar_is_marked_unless_nothing_published_is_as_new(database: Database) -> None:
    def mark_bar(session: date, *, has_new_returns: bool = False) -> bool:
        with database.begin() as connection:
            return mark_bar_invalid(connection, "AAA", session, has_new_returns=has_new_returns, run_id="r3")

    assert not mark_bar(MAY)
    with database.bulk() as transaction:
        for layer, day in (("symbol", JUNE), ("portfolio", JULY)):
            record_publications(transaction, 1, layer, [Publication(day, ("any",), 1, None, {})], run_id="r1")  # type: ignore[arg-type]
    assert not mark_bar(JULY)
    assert read(database) == []
    assert mark_bar(JUNE)
    (first,) = read(database)
    assert marks_of(database) == [("AAA", JUNE, JUNE, False, None)]
    mark(database, ("AAA", JUNE, JUNE, False, JUNE))
    assert mark_bar(MAY, has_new_returns=True)
    assert mark_bar(JUNE)
    assert marks_of(database) == [("AAA", MAY, JUNE, True, JUNE)]
    assert run_ids(database) == {"AAA": "r3"}
    assert read(database)[0].marked_at > first.marked_at


def test_no_mark_is_no_change(database: Database) -> None:
    mark(database)
    assert read(database) == []


def test_cleared_as_read(database: Database) -> None:
    mark(database, ("AAA", MAY, MAY, False, None), ("BBB", MAY, MAY, False, None), ("CCC", MAY, MAY, False, None))
    first, second, _ = read(database)
    mark(database, ("BBB", JUNE, JUNE, False, None))
    clear(database, first, second)
    assert marks_of(database) == [("BBB", MAY, JUNE, False, None), ("CCC", MAY, MAY, False, None)]
    clear(database)
    clear(database, first)
    assert len(read(database)) == 2


def test_newest_published_session_is_of_the_symbol_layer(database: Database) -> None:
    def publish(layer: Any, *sessions: date) -> None:
        items = [Publication(day, ("any",), 1, None, {}) for day in sessions]
        with database.bulk() as transaction:
            record_publications(transaction, 1, layer, items, run_id="r1")

    def newest() -> date | None:
        with database.bulk(read_only=True) as transaction:
            return newest_published_session(transaction)

    assert newest() is None
    publish("portfolio", JULY)
    assert newest() is None
    publish("symbol", MAY, JUNE)
    assert newest() == JUNE


def test_outdated_are_marked_symbols_with_published_figures(database: Database) -> None:
    """A symbol that was just added has none that could be older than its prices."""
    mark(database, *((symbol, MAY, JUNE, True, None) for symbol in ("NEW", "OLD", "QUIET", "GONE")))
    universe, metrics = ROWS[symbol_universe], {**ROWS[symbol_daily_metrics], "metrics_date": JULY}
    with database.begin() as connection:
        for symbol, last in (("NEW", None), ("OLD", JULY), ("QUIET", None)):
            connection.execute(sa.insert(symbol_universe), {**universe, "symbol": symbol, "last_factor_date": last})
        connection.execute(sa.insert(symbol_daily_metrics), {**metrics, "symbol": "QUIET"})
    with database.bulk() as transaction:
        items = [Publication(JULY, ("market_beta",), rows_written=1, coverage=1.0, counts={})]
        record_publications(transaction, 1, "symbol", items, run_id="r1")
    with database.begin() as connection:
        assert read_outdated_symbols(connection) == {"OLD": MAY, "QUIET": MAY}
