"""The price window of the symbol products, and the base sessions of calendar returns against pandas' calendar."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.orchestration.symbol_window import (
    LOOKBACK_SESSIONS,
    SymbolWindow,
    read_symbol_window,
    return_anchors,
    suspect_bars,
)
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bar_comparisons import ComparedCloses
from sigmasight_assets.storage.bar_decisions import BarDecision
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.universe import read_universe_in_bulk
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.markets import HALTED, LATE
from tests.orchestration.symbol_windows import tracked

DAY = timedelta(days=1)


def bases(day: date) -> list[date]:
    """The days on or before which the five base sessions lie."""
    stamp = pd.Timestamp(day)
    return [
        day.replace(day=1) - DAY,
        day.replace(month=1, day=1) - DAY,
        (stamp - pd.DateOffset(months=1)).date(),
        (stamp - pd.DateOffset(months=3)).date(),
        (stamp - pd.DateOffset(years=1)).date(),
    ]


def test_anchors_of_every_session_from_2004_to_2030(calendar: SessionCalendar) -> None:
    sessions = calendar.sessions[: calendar.index(date(2030, 12, 31)) + 1]
    rows = np.arange(calendar.index(date(2004, 1, 2)), len(sessions))
    index = pd.DatetimeIndex(sessions)
    wanted = pd.DatetimeIndex([base for day in sessions[rows].tolist() for base in bases(day)])
    expected = index.get_indexer(wanted, method="ffill").reshape(len(rows), 5)
    assert np.array_equal(return_anchors(sessions, rows), expected)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        # Mid-month, all anchors sessions of their own.
        ((2025, 6, 18), [(2025, 5, 30), (2024, 12, 31), (2025, 5, 16), (2025, 3, 18), (2024, 6, 18)]),
        # The last days of February, March and May.
        ((2024, 2, 29), [(2024, 1, 31), (2023, 12, 29), (2024, 1, 29), (2023, 11, 29), (2023, 2, 28)]),
        ((2025, 2, 28), [(2025, 1, 31), (2024, 12, 31), (2025, 1, 28), (2024, 11, 27), (2024, 2, 28)]),
        ((2025, 3, 31), [(2025, 2, 28), (2024, 12, 31), (2025, 2, 28), (2024, 12, 31), (2024, 3, 28)]),
        ((2024, 5, 31), [(2024, 4, 30), (2023, 12, 29), (2024, 4, 30), (2024, 2, 29), (2023, 5, 31)]),
        # The first and the last session of a year; 2025-01-09 was a day of mourning.
        ((2025, 1, 2), [(2024, 12, 31), (2024, 12, 31), (2024, 12, 2), (2024, 10, 2), (2024, 1, 2)]),
        ((2024, 12, 31), [(2024, 11, 29), (2023, 12, 29), (2024, 11, 29), (2024, 9, 30), (2023, 12, 29)]),
        ((2025, 4, 9), [(2025, 3, 31), (2024, 12, 31), (2025, 3, 7), (2025, 1, 8), (2024, 4, 9)]),
    ],
)
def test_anchors_by_hand(
    calendar: SessionCalendar, day: tuple[int, int, int], expected: list[tuple[int, int, int]]
) -> None:
    row = calendar.index(date(*day))
    anchors = return_anchors(calendar.sessions, np.array([row]))[0]
    assert calendar.sessions[anchors].tolist() == [date(*each) for each in expected]


def test_anchor_before_the_first_session_of_the_window_is_minus_one(calendar: SessionCalendar) -> None:
    window = calendar.sessions[calendar.index(date(2025, 5, 1)) : calendar.index(date(2025, 6, 30)) + 1]
    anchors = return_anchors(window, np.array([0, 21, len(window) - 1]))
    assert anchors.tolist() == [
        [-1, -1, -1, -1, -1],
        [20, -1, 1, -1, -1],
        [20, -1, 20, -1, -1],
    ]


def read(database: Database, calendar: SessionCalendar, sessions: list[date]) -> SymbolWindow:
    with database.bulk(read_only=True) as transaction:
        symbols = read_universe_in_bulk(transaction)
        return read_symbol_window(transaction, calendar, symbols, sessions=sessions)


def test_window_holds_the_stored_bars(priced: Database, calendar: SessionCalendar) -> None:
    sessions = [TARGETS[0], TARGETS[3], TARGETS[7]]
    window = read(priced, calendar, sessions)
    assert window.targets.sessions.tolist() == sessions
    assert window.grid.sessions[0] == np.datetime64(calendar.offset(TARGETS[0], -LOOKBACK_SESSIONS))
    assert window.grid.sessions[-1] == np.datetime64(TARGETS[7])
    bars = rows_of(
        priced,
        "SELECT * FROM symbol_prices_daily WHERE price_date BETWEEN :first AND :last",
        first=window.grid.sessions[0].item(),
        last=TARGETS[7],
    )
    assert window.has_bar.sum() == len(bars)
    rows = {day: row for row, day in enumerate(window.grid.sessions.tolist())}
    columns = {symbol: column for column, symbol in enumerate(window.grid.symbols)}
    for bar in bars:
        cell = rows[bar["price_date"]], columns[bar["symbol"]]
        assert window.close_units[cell] == bar["close_price"] * 10_000
        assert window.adj_close[cell] == bar["adj_close_price"]
        assert window.volume[cell] == bar["volume"]
    empty = ~window.has_bar
    assert np.isnan(window.adj_close[empty]).all()
    assert np.isnan(window.volume[empty]).all()
    assert not window.has_bar[rows[TARGETS[7]], columns[HALTED]]
    assert not window.has_bar[rows[TARGETS[3]], columns[LATE]]


def test_returns_of_the_factor_funds_are_in_canonical_order(priced: Database, calendar: SessionCalendar) -> None:
    window = read(priced, calendar, [TARGETS[-1]])
    prices = pd.DataFrame(window.adj_close, columns=window.grid.symbols)
    expected = prices[list(FACTOR_ETFS)].pct_change(fill_method=None).to_numpy()
    np.testing.assert_allclose(window.factor_returns, expected, rtol=0, atol=1e-15)
    assert [window.grid.symbols[int(np.flatnonzero(window.own == place)[0])] for place in range(8)] == list(FACTOR_ETFS)
    assert (window.own >= 0).sum() == 8


def test_suspect_bars_are_unexplained_moves_of_the_newest_bars() -> None:
    sessions = np.array(["2025-06-04", "2025-06-05", "2025-06-06", "2025-06-09"], dtype="datetime64[D]")
    names = ("AGAIN", "FELL", "GAP", "LATER", "PAID", "SPLIT", "STILL")
    closes = np.array([[100] * 7, [100] * 7, [100, 100, 0, 30, 100, 100, 100], [100, 30, 30, 30, 30, 30, 120]])
    newest = {name: date(2025, 6, 9) for name in names} | {"AGAIN": None}
    actions = pa.table(
        {
            "symbol": ["SPLIT", "PAID", "FELL", "OTHER"],
            # A split on the day, a payment on the Saturday before it, one that is long past, one of somebody else.
            "ex_date": pa.array([date(2025, 6, 9), date(2025, 6, 7), date(2025, 6, 5), date(2025, 6, 9)], pa.date32()),
        }
    )
    symbols = [tracked(name, last_price_date=newest[name]) for name in names]
    found = suspect_bars(closes, symbols, Grid(sessions, names), actions)
    # LATER fell a session earlier, and its newest bar confirms it.
    assert {names[column]: int(row) for row, column in np.argwhere(found)} == {"FELL": 3, "GAP": 3}
    # As long as that newest bar was not there, it was suspect.
    symbols[3] = tracked("LATER", last_price_date=date(2025, 6, 6))
    found = suspect_bars(closes[:3], symbols, Grid(sessions[:3], names), actions)
    assert {names[column]: int(row) for row, column in np.argwhere(found)} == {"LATER": 2}


def test_accepted_bars_are_suspect_no_longer() -> None:
    sessions = np.array(["2025-06-05", "2025-06-06"], dtype="datetime64[D]")
    names = ("MOVED", "OTHER", "RIGHT")
    symbols = [tracked(name, last_price_date=date(2025, 6, 6)) for name in names]
    none = pa.table({"symbol": pa.array([], pa.string()), "ex_date": pa.array([], pa.date32())})
    told: dict[str, Any] = {
        "verdict": "accepted",
        "actor": "ann",
        "reason": "r",
        "acted_at": datetime(2025, 6, 7, tzinfo=UTC),
    }
    # MOVED was another bar when it was accepted.
    accepted = [
        BarDecision(symbol, date(2025, 6, 6), close, 100, **told) for symbol, close in (("MOVED", 31), ("RIGHT", 30))
    ]
    closes = np.array([[100] * 3, [30] * 3])
    found = suspect_bars(closes, symbols, Grid(sessions, names), none, accepted)
    assert [names[column] for _, column in np.argwhere(found)] == ["MOVED", "OTHER"]


def test_a_second_market_confirms_moves_and_disputes_bars() -> None:
    sessions = np.array(["2025-06-05", "2025-06-06"], dtype="datetime64[D]")
    names = ("CONFIRMED", "DISPUTED", "EARLIER", "GONE", "MOVED", "RESTATED")
    symbols = [tracked(name, last_price_date=date(2025, 6, 6)) for name in names]
    none = pa.table({"symbol": pa.array([], pa.string()), "ex_date": pa.array([], pa.date32())})
    closes = np.array([[1000] * 6, [300, 1000, 1000, 0, 300, 1000]])
    first, second = np.zeros((2, 6), dtype=np.int64), np.zeros((2, 6), dtype=np.int64)
    first[1], second[1] = [300, 1000, 0, 900, 0, 900], [303, 1011, 0, 1000, 0, 1000]
    first[0, 2], second[0, 2] = 1000, 989
    compared = ComparedCloses(first, second)
    found = suspect_bars(closes, symbols, Grid(sessions, names), none, compared=compared)
    # RESTATED is what the second had, and has not been compared since; GONE has no bar any more.
    assert [(names[column], int(row)) for row, column in np.argwhere(found)] == [
        ("EARLIER", 0),
        ("DISPUTED", 1),
        ("MOVED", 1),
        ("RESTATED", 1),
    ]


def test_stored_actions_explain_moves(priced: Database, calendar: SessionCalendar) -> None:
    sql = (
        "UPDATE symbol_prices_daily SET close_price = close_price * 0.4, low_price = low_price * 0.4 "
        "WHERE symbol IN ('SPY', 'TLT') AND price_date = :day"
    )
    execute(priced, sql, day=TARGETS[-1])
    state = (
        "INSERT INTO corporate_actions (symbol, ex_date, kind, amount, source, run_id) "
        "VALUES ('TLT', :day, 'dividend', 9.5, 'scripted', 'prices')"
    )
    execute(priced, state, day=TARGETS[-1])
    window = read(priced, calendar, TARGETS[-2:])
    assert [(window.grid.symbols[column], row) for row, column in np.argwhere(window.suspect)] == [
        ("SPY", len(window.grid.sessions) - 1)
    ]
    assert np.argwhere(window.factor_suspect).tolist() == [[len(window.grid.sessions) - 1, 0]]


def test_a_part_holds_some_sessions_and_symbols(priced: Database, calendar: SessionCalendar) -> None:
    window = read(priced, calendar, TARGETS[3:6])
    columns = np.array([window.grid.symbols.index(name) for name in ("TLT", HALTED)])
    part = window.part(np.array([0, 2]), columns)
    assert part.targets.sessions.tolist() == [TARGETS[3], TARGETS[5]]
    assert part.grid.symbols == ("TLT", HALTED)
    assert [item.symbol for item in part.symbols] == ["TLT", HALTED]
    assert part.own.tolist() == [1, -1]
    assert part.anchors.tolist() == window.anchors[[0, 2]].tolist()
    assert part.profiles.row.shape == part.targets.shape == (2, 2)
    for name in ("close_units", "adj_close", "volume", "returns", "suspect"):
        np.testing.assert_array_equal(getattr(part, name), getattr(window, name)[:, columns])
    # Everybody is regressed on the same funds.
    assert part.factor_returns is window.factor_returns
    assert part.factor_suspect is window.factor_suspect


def test_window_is_cut_at_the_calendars_start(priced: Database, calendar: SessionCalendar) -> None:
    first_sessions = calendar.sessions[:12].tolist()
    window = read(priced, calendar, first_sessions[10:12])
    assert window.grid.sessions.tolist() == first_sessions
    assert window.rows.tolist() == [10, 11]
    assert not window.has_bar.any()


def test_missing_factor_funds_are_named(priced: Database, calendar: SessionCalendar) -> None:
    execute(priced, "DELETE FROM symbol_universe WHERE symbol IN ('TLT', 'USMV')")
    with pytest.raises(MarketDataError, match=r"factor ETFs TLT, USMV are not tracked: run `sigmasight universe add"):
        read(priced, calendar, [TARGETS[-1]])
