"""Tests of decisions on bars: which bar of a symbol and session they are about, and how they are kept."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from sigmasight_assets.quant.arrays import IntArray
from sigmasight_assets.storage.bar_decisions import (
    BarDecision,
    Verdict,
    decided_bars,
    read_bar_decisions,
    read_bar_decisions_in_bulk,
    record_bar_decision,
)
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import record_action
from sigmasight_assets.storage.grid import Grid
from tests.storage.conftest import SESSIONS, SYMBOLS

BAD, GOOD = 250_000, 1_000_000


def decision(close: int = BAD, before: int | None = GOOD, **columns: Any) -> BarDecision:
    usual = {"symbol": "AAA", "price_date": SESSIONS[3], "verdict": "rejected"}
    told = {"actor": "ann", "reason": "r", "acted_at": datetime(2025, 7, 1, tzinfo=UTC)}
    return BarDecision(close_units=close, previous_units=before, **{**usual, **told, **columns})


@pytest.mark.parametrize(
    ("close", "previous", "is_it"),
    [
        (BAD, GOOD, True),
        (BAD, None, True),
        (GOOD, GOOD, False),
        (BAD + 1, GOOD, False),
        (BAD + 1, None, False),
        # The bar before it is corrected: it is still the same one.
        (BAD, GOOD + 5_000, True),
        (BAD, GOOD - 99_999, True),
        # A split of 4 for 1 restates both; the market then knows the right close, which looks like the wrong one.
        (BAD // 4, GOOD // 4, True),
        (BAD, GOOD // 4, False),
        # One of 3 for 1, with the rounding of both, and one of 1 for 20.
        (83_333, 333_333, True),
        (83_334, 333_333, True),
        (83_300, 333_333, False),
        (BAD * 20, GOOD * 20, True),
        (BAD * 20 + 9, GOOD * 20 - 9, True),
        (BAD * 20 + 30, GOOD * 20 - 9, False),
        (GOOD * 20, GOOD * 20, False),
    ],
)
def test_the_bar_that_was_decided_on(close: int, previous: int | None, is_it: bool) -> None:
    assert decision().is_bar(close, previous) is is_it


def test_a_first_bar_is_known_by_its_close_alone() -> None:
    assert decision(before=None).is_bar(BAD, GOOD)
    assert not decision(before=None).is_bar(BAD // 4, GOOD // 4)


def test_the_largest_prices_do_not_overflow() -> None:
    largest = 10**14 - 1
    assert decision(close=largest, before=largest // 3).is_bar(largest // 2, largest // 6)
    assert not decision(close=largest, before=largest // 3).is_bar(largest // 2, largest // 5)


def test_closes_as_prices() -> None:
    assert (decision().close_price, decision().previous_close_price) == (Decimal("25.0000"), Decimal("100.0000"))
    assert decision(before=None).previous_close_price is None


def cells(closes: IntArray, grid: Grid, *decisions: BarDecision) -> list[tuple[int, int]]:
    return [(int(row), int(column)) for row, column in np.argwhere(decided_bars(closes, grid, decisions))]


def test_bars_are_found_on_a_grid(grid: Grid) -> None:
    closes = np.full(grid.shape, GOOD)
    closes[3] = BAD
    # BBB has no bar at the session before, and CCC none at the session itself.
    closes[2, 1] = closes[3, 2] = 0
    assert cells(closes, grid) == []
    each = [decision(symbol=symbol) for symbol in (*SYMBOLS, "ZZZ")]
    assert cells(closes, grid, *each, decision(price_date=date(2025, 6, 22))) == [(3, 0), (3, 1)]
    assert cells(closes, grid, decision(price_date=SESSIONS[2])) == []


def test_a_grid_that_begins_with_the_bar_goes_by_its_close(grid: Grid) -> None:
    closes = np.full(grid.shape, BAD)
    assert cells(closes, grid, decision(price_date=SESSIONS[0])) == [(0, 0)]


@pytest.mark.parametrize("before", [GOOD, BAD], ids=["older first", "newer first"])
def test_two_bars_in_a_row_in_either_order(grid: Grid, before: int) -> None:
    """When the older one was rejected first, the newer one's previous close was the good one, else the bad one."""
    closes = np.full(grid.shape, GOOD)
    closes[2:4, 0] = BAD
    both = decision(price_date=SESSIONS[2]), decision(before=before)
    assert cells(closes, grid, *both) == cells(closes, grid, *reversed(both)) == [(2, 0), (3, 0)]


def record(database: Database, symbol: str, day: date, closes: tuple[str, str | None], verdict: Verdict) -> None:
    close, before = closes
    with database.begin() as connection:
        action_id = record_action(connection, kind="accept_bar", actor="ann", reason=f"so {close}")
        record_bar_decision(
            connection,
            symbol,
            day,
            close_price=Decimal(close),
            previous_close_price=None if before is None else Decimal(before),
            verdict=verdict,
            action_id=action_id,
        )


def test_decisions_are_kept_and_replaced(database: Database, grid: Grid) -> None:
    record(database, "BBB", SESSIONS[1], ("25", None), "accepted")
    record(database, "AAA", SESSIONS[3], ("25", "100.1234"), "rejected")
    record(database, "AAA", SESSIONS[0], ("400", "100"), "rejected")
    record(database, "AAA", SESSIONS[3], ("25.0001", "100"), "accepted")
    record(database, "ZZZ", SESSIONS[3], ("1", "2"), "rejected")
    record(database, "CCC", date(2025, 6, 20), ("1", "2"), "rejected")
    with database.begin() as connection:
        found = read_bar_decisions(connection, SYMBOLS)
        every = read_bar_decisions(connection)
    told = [(item.symbol, item.price_date, item.close_units, item.previous_units, item.verdict) for item in found]
    assert told == [
        ("AAA", SESSIONS[0], 4_000_000, 1_000_000, "rejected"),
        ("AAA", SESSIONS[3], 250_001, 1_000_000, "accepted"),
        ("BBB", SESSIONS[1], 250_000, None, "accepted"),
        ("CCC", date(2025, 6, 20), 10_000, 20_000, "rejected"),
    ]
    assert [item.symbol for item in every] == ["AAA", "AAA", "BBB", "CCC", "ZZZ"]
    assert {(item.actor, item.reason) for item in found[:1]} == {("ann", "so 400")}
    with database.bulk(read_only=True) as transaction:
        assert read_bar_decisions_in_bulk(transaction, grid) == found[:3]
        assert read_bar_decisions_in_bulk(transaction, grid, verdict="rejected") == found[:1]
        assert read_bar_decisions_in_bulk(transaction, grid, verdict="accepted") == found[1:3]
