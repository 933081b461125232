"""Tests of what is kept of a second market's closes: laid out by session and symbol, replaced, and who still waits."""

from datetime import date

import numpy as np
import pytest

from sigmasight_assets.quant.arrays import BoolArray
from sigmasight_assets.storage.bar_comparisons import (
    ComparedCloses,
    read_compared_closes,
    read_open_disputes,
    replace_compared_closes,
)
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from tests.orchestration.contents import execute, rows_of
from tests.stored_bars import DAYS, compare, store_bars

SYMBOLS = ("AAA", "BBB")


@pytest.fixture
def grid() -> Grid:
    return Grid(np.array(DAYS[2:], dtype="datetime64[D]"), SYMBOLS)


def cells(marks: BoolArray, grid: Grid) -> list[tuple[str, date]]:
    return [(grid.symbols[column], grid.sessions[row].item()) for row, column in np.argwhere(marks)]


def disputes(database: Database, grid: Grid) -> list[tuple[str, date]]:
    with database.bulk(read_only=True) as transaction:
        return cells(read_open_disputes(transaction, grid), grid)


def replace(database: Database, grid: Grid, **compared: tuple[int, int]) -> None:
    """Closes that were compared at the last session, by symbol."""
    first, second = (np.zeros(grid.shape, dtype=np.int64) for _ in range(2))
    marks = np.zeros(grid.shape, dtype=np.bool_)
    for symbol, closes in compared.items():
        cell = -1, SYMBOLS.index(symbol)
        marks[cell], (first[cell], second[cell]) = True, closes
    with database.bulk() as transaction:
        replace_compared_closes(transaction, grid, marks, ComparedCloses(first, second), second_source="second")


def test_they_are_laid_out_by_session_and_symbol(database: Database, grid: Grid) -> None:
    compare(database, "AAA", DAYS[3], "100.1234", "102")
    compare(database, "BBB", DAYS[4], "25", "25.1")
    compare(database, "BBB", DAYS[1], "1", "2")
    compare(database, "ZZZ", DAYS[4], "1", "2")
    with database.bulk(read_only=True) as transaction:
        found = read_compared_closes(transaction, grid)
    assert found.first[found.first > 0].tolist() == [1_001_234, 250_000]
    assert found.second[found.second > 0].tolist() == [1_020_000, 251_000]
    assert cells(found.disputed, grid) == [("AAA", DAYS[3])]
    closes = np.full(grid.shape, 250_000)
    assert cells(found.confirm(closes), grid) == [("BBB", DAYS[4])]
    assert not found.confirm(np.zeros_like(closes)).any()


def test_the_earlier_rows_of_what_was_compared_are_replaced(database: Database, grid: Grid) -> None:
    replace(database, grid, AAA=(100, 200), BBB=(300, 400))
    before = rows_of(database, "SELECT * FROM bar_comparisons ORDER BY symbol")
    assert [(row["symbol"], row["price_date"], row["second_source"]) for row in before] == [
        ("AAA", DAYS[-1], "second"),
        ("BBB", DAYS[-1], "second"),
    ]
    # The same again keeps its time, what is compared no more stays, and what is worth nothing is forgotten.
    replace(database, grid, AAA=(100, 200))
    assert rows_of(database, "SELECT * FROM bar_comparisons ORDER BY symbol") == before
    replace(database, grid, AAA=(100, 201), BBB=(0, 0))
    (after,) = rows_of(database, "SELECT * FROM bar_comparisons")
    assert (after["symbol"], str(after["second_close_price"])) == ("AAA", "0.0201")
    assert after["seen_at"] > before[0]["seen_at"]


def test_open_disputes_are_of_stored_bars_that_nobody_has_accepted(database: Database, grid: Grid) -> None:
    store_bars(database, "AAA", dict.fromkeys(DAYS, "100"))
    store_bars(database, "BBB", {DAYS[2]: "100"})
    for symbol, day, other in (
        ("AAA", DAYS[2], "101"),
        ("AAA", DAYS[3], "101.0001"),
        ("AAA", DAYS[4], "98"),
        ("AAA", DAYS[5], "98"),
        ("BBB", DAYS[3], "98"),
    ):
        compare(database, symbol, day, "100", other)
    assert disputes(database, grid) == [("AAA", day) for day in DAYS[3:6]]
    execute(
        database,
        "INSERT INTO operator_actions (kind, actor, reason) VALUES ('accept_bar', 'ann', 'r')",
    )
    execute(
        database,
        "INSERT INTO bar_decisions (symbol, price_date, close_price, verdict, action_id) "
        "SELECT 'AAA', day, close, 'accepted', action_id FROM operator_actions, "
        "(VALUES (CAST(:third AS date), 100), (CAST(:fourth AS date), 99)) AS decided (day, close)",
        third=DAYS[3],
        fourth=DAYS[4],
    )
    # The one at 99 was another bar.
    assert disputes(database, grid) == [("AAA", DAYS[4]), ("AAA", DAYS[5])]
