"""Tests of the dense layout against a dictionary of cells."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid, read_rows
from sigmasight_assets.storage.tables import symbol_market_beta, symbol_universe
from tests.storage.rows import ROWS, insert

ALL_DATES = [date(2025, 6, day) for day in range(1, 31)]
ALL_SYMBOLS = ["AAA", "BBB", "BRK-B", "CCC", "DDD"]


def table(rows: list[tuple[str, date]]) -> pa.Table:
    symbols, days = ([row[place] for row in rows] for place in (0, 1))
    return pa.table({"symbol": pa.array(symbols, pa.string()), "day": pa.array(days, pa.date32())})


@given(
    days=st.sets(st.sampled_from(ALL_DATES)),
    symbols=st.lists(st.sampled_from(ALL_SYMBOLS), unique=True),
    rows=st.lists(st.tuples(st.sampled_from([*ALL_SYMBOLS, "ZZZ"]), st.sampled_from(ALL_DATES)), max_size=40),
)
def test_rows_are_found_by_date_and_symbol(days: set[date], symbols: list[str], rows: list[tuple[str, date]]) -> None:
    grid = Grid(np.array(sorted(days), dtype="datetime64[D]"), tuple(symbols))
    inside, cells = grid.locate(table(rows), "day")
    assert inside.tolist() == [day in days and symbol in symbols for symbol, day in rows]
    expected = [
        (sorted(days).index(day), symbols.index(symbol)) for symbol, day in rows if day in days and symbol in symbols
    ]
    assert list(zip(*(place.tolist() for place in cells), strict=True)) == expected


@given(
    data=st.data(),
    days=st.sets(st.sampled_from(ALL_DATES), min_size=1),
    symbols=st.lists(st.sampled_from(ALL_SYMBOLS), unique=True),
)
def test_keys_of_cells_lead_back_to_them(data: st.DataObject, days: set[date], symbols: list[str]) -> None:
    grid = Grid(np.array(sorted(days), dtype="datetime64[D]"), tuple(symbols))
    flags = st.lists(st.booleans(), min_size=len(symbols), max_size=len(symbols))
    rows = data.draw(st.lists(flags, min_size=len(days), max_size=len(days)))
    selected = np.array(rows, dtype=np.bool_).reshape(grid.shape)
    keys = grid.keys(selected, "day")
    assert keys.schema == pa.schema([("day", pa.date32()), ("symbol", pa.string())])
    inside, cells = grid.locate(keys, "day")
    assert inside.all()
    again = np.zeros(grid.shape, dtype=np.bool_)
    again[cells] = True
    np.testing.assert_array_equal(again, selected)
    assert keys.num_rows == selected.sum()


@pytest.mark.parametrize("count", range(1, 6))
def test_rows_of_a_part_or_of_all_symbols_are_read(database: Database, count: int) -> None:
    for symbol in ALL_SYMBOLS:
        insert(database, symbol_universe, {**ROWS[symbol_universe], "symbol": symbol})
        for day in (1, 2, 3, 4):
            row = {**ROWS[symbol_market_beta], "symbol": symbol, "session": date(2025, 6, day), "n_obs": 30 + day}
            insert(database, symbol_market_beta, row)
    grid = Grid(np.array(["2025-06-02", "2025-06-03"], dtype="datetime64[D]"), tuple(ALL_SYMBOLS[:count]))
    with database.bulk(read_only=True) as transaction:
        rows = read_rows(transaction, grid, "symbol_market_beta", "session", columns=["n_obs"])
    inside, cells = grid.locate(rows, "session")
    found = np.zeros(grid.shape, dtype=np.int64)
    found[cells] = rows.column("n_obs").to_numpy()[inside]
    assert found.tolist() == [[32] * count, [33] * count]
    # Two of five are less than half: the server picks them.
    assert set(rows.column("symbol").to_pylist()) == set(ALL_SYMBOLS[:count] if count <= 2 else ALL_SYMBOLS)
