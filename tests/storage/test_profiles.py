"""Tests of company profiles: dated rows in, the newest one of each session out."""

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sigmasight_assets.market_data.protocol import PROFILE_SCHEMA, PROFILE_VALUES
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.profiles import ProfileWindow, read_captures, read_profile_window, store_profiles
from sigmasight_assets.storage.tables import PROFILE_FIGURES
from tests.storage.conftest import SESSIONS, SYMBOLS

LONG_AGO = date(2023, 1, 3)


def store(database: Database, captured_on: date, *profiles: dict[str, Any], source: str = "test") -> int:
    rows = pa.Table.from_pylist(list(profiles), schema=PROFILE_SCHEMA)
    with database.bulk() as transaction:
        return store_profiles(transaction, rows, captured_on=captured_on, source=source)


def read(database: Database, grid: Grid) -> ProfileWindow:
    with database.bulk(read_only=True) as transaction:
        return read_profile_window(transaction, grid)


def stored(database: Database) -> list[dict[str, Any]]:
    with database.begin() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM company_profiles ORDER BY symbol, captured_on").mappings()
        return [dict(item) for item in rows]


def test_no_profile_is_an_empty_window(database: Database, grid: Grid) -> None:
    store(database, LONG_AGO, {"symbol": "ZZZ"})
    window = read(database, grid)
    assert window.row.tolist() == [[-1, -1, -1]] * 5
    assert window.row.dtype == np.dtype("int64")
    assert (len(window.captured_on), window.sector, window.industry) == (0, [], [])
    assert {name: values.dtype for name, values in window.figures.items()} == dict.fromkeys(
        PROFILE_FIGURES, np.dtype("float64")
    )


def test_the_figures_of_the_protocol_are_those_of_the_table() -> None:
    assert PROFILE_VALUES == PROFILE_FIGURES


@pytest.mark.parametrize("seed", range(4))
def test_every_session_uses_the_newest_profile_captured_by_then(database: Database, grid: Grid, seed: int) -> None:
    random = np.random.default_rng(seed)
    days = [LONG_AGO, LONG_AGO + timedelta(1), date(2025, 6, 22), *SESSIONS, date(2025, 6, 30)]
    captures: dict[tuple[str, date], float] = {}
    for day in days:
        symbols = [symbol for symbol in (*SYMBOLS, "ZZZ") if random.random() < 0.4]
        captures |= {(symbol, day): float(random.normal()) for symbol in symbols}
        store(
            database,
            day,
            *(
                {"symbol": symbol, "sector": f"{symbol} {day}", "industry": None, "pe_ratio": captures[symbol, day]}
                for symbol in symbols
            ),
        )
    window = read(database, grid)
    for row, session in enumerate(SESSIONS):
        for column, symbol in enumerate(SYMBOLS):
            known = [day for name, day in captures if name == symbol and day <= session]
            at = int(window.row[row, column])
            if not known:
                assert at == -1
                continue
            assert window.captured_on[at].item() == max(known)
            assert window.figures["pe_ratio"][at] == captures[symbol, max(known)]
            assert math.isnan(window.figures["market_cap"][at])
            assert (window.sector[at], window.industry[at]) == (f"{symbol} {max(known)}", None)
    # Profiles that no session uses are not read.
    used = {(symbol, day) for symbol, day in captures if symbol in SYMBOLS and SESSIONS[0] <= day <= SESSIONS[-1]}
    oldest = {symbol for symbol, day in captures if symbol in SYMBOLS and day < SESSIONS[0]}
    assert len(window.captured_on) == len(used) + len(oldest)


def test_figures_are_kept_and_what_is_not_finite_is_null(database: Database) -> None:
    figures = {"market_cap": math.inf, "pe_ratio": math.nan, "forward_pe": None, "dividend_yield": -math.inf}
    profile = {"symbol": "AAA", "name": "A", "sector": "Energy", "industry": "Oil", **figures, "provider_beta": -1.25}
    assert store(database, SESSIONS[0], profile) == 1
    (found,) = stored(database)
    assert found.pop("updated_at").tzinfo is not None
    assert found == {
        **profile,
        **dict.fromkeys(figures),
        "captured_on": SESSIONS[0],
        "source": "test",
    }


def test_a_profile_of_the_same_session_is_replaced(database: Database) -> None:
    store(database, SESSIONS[0], {"symbol": "AAA", "name": "old"}, {"symbol": "BBB", "name": "other"})
    store(database, SESSIONS[1], {"symbol": "AAA", "name": "later"})
    assert store(database, SESSIONS[0], {"symbol": "AAA", "name": "new"}) == 1
    assert [(row["symbol"], row["captured_on"], row["name"]) for row in stored(database)] == [
        ("AAA", SESSIONS[0], "new"),
        ("AAA", SESSIONS[1], "later"),
        ("BBB", SESSIONS[0], "other"),
    ]


def test_no_profile_is_no_change(database: Database) -> None:
    assert store(database, SESSIONS[0]) == 0
    assert stored(database) == []


def test_captures_of_a_range(database: Database) -> None:
    for day in (SESSIONS[3], LONG_AGO, SESSIONS[1], SESSIONS[4]):
        store(database, day, {"symbol": "AAA"}, *([{"symbol": "BBB"}] if day == SESSIONS[1] else []))
    with database.bulk(read_only=True) as transaction:
        found = read_captures(transaction, first=SESSIONS[1], last=SESSIONS[3])
        assert found == {"AAA": [SESSIONS[1], SESSIONS[3]], "BBB": [SESSIONS[1]]}
        assert read_captures(transaction, first=SESSIONS[2], last=SESSIONS[2]) == {}
