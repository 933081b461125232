"""The blocking check finds whatever is wrong, and names the portfolio and the session."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from sigmasight_assets.quant.ledger_identity import identity_violations
from sigmasight_assets.quant.snapshots import LedgerResult, LotStatus
from tests.quant.ledger_books import Book, Flow, Lot

MONDAY = date(2024, 3, 4)
WEEK = [MONDAY + timedelta(days=n) for n in range(4)]


def _book() -> Book:
    """Three portfolios, the last one later; symbol 1 never has a price."""
    lots = [
        Lot(portfolio, symbol, Decimal(quantity), Decimal(100), MONDAY - timedelta(days=9), exit_date, Decimal(125))
        for portfolio in range(3)
        for symbol, quantity, exit_date in ((0, 10, None), (0, -3, WEEK[2]), (1, 5, None))
    ]
    closes: list[list[Decimal | None]] = [[Decimal(value), None] for value in (100, 110, 120, 130)]
    starts = [(MONDAY, Decimal(9_000)), (MONDAY, Decimal(8_000)), (WEEK[2], Decimal(7_000))]
    return Book(starts, lots, WEEK, closes, [Flow(1, WEEK[1], Decimal(40)), Flow(2, WEEK[3], Decimal(30))])


def _offenders(book: Book, result: LedgerResult) -> list[list[int]]:
    inputs = book.lot_columns(), book.portfolio_columns(), book.flow_columns(), book.initial_state()
    return [found.tolist() for found in identity_violations(*inputs, result)]


def test_a_sound_ledger_has_no_offender() -> None:
    book = _book()
    assert _offenders(book, book.roll()) == [[], [], [], []]


@pytest.mark.parametrize(
    "column",
    [
        "equity",
        "long_value",
        "short_value",
        "gross",
        "net",
        "cash",
        "unpriced_value",
        "daily_pnl",
        "cumulative_pnl",
        "realized_pnl",
        "unrealized_pnl",
        "capital_flow",
    ],
)
@pytest.mark.parametrize("session", [0, 2, 3])
def test_one_unit_too_much_in_any_column_is_found(column: str, session: int) -> None:
    book = _book()
    result = book.roll()
    getattr(result.snapshots, column)[session, 1] += 1
    found = _offenders(book, result)
    if (column, session) == ("unrealized_pnl", 0):
        # The first level has nothing before it to differ from; it breaks the step that follows.
        session = 1
    assert found[session] == [1]
    assert not any(found[:session])


@pytest.mark.parametrize("column", ["value", "pnl"])
def test_one_unit_too_much_in_a_lot_is_found(column: str) -> None:
    book = _book()
    result = book.roll()
    for lot in (3, 5):
        getattr(result.position_values, column)[1, lot] += 1
    assert _offenders(book, result) == [[], [1], [], []]


def test_a_first_snapshot_that_is_wrong_throughout_is_found() -> None:
    book = _book()
    result = book.roll()
    result.snapshots.equity[0, 0] += 1
    result.snapshots.cash[0, 0] += 1
    result.position_values.pnl[0, 3] += 1
    result.snapshots.daily_pnl[0, 1] += 1
    assert _offenders(book, result)[0] == [0, 1]


def test_a_priced_lot_reported_as_unpriced_is_found() -> None:
    book = _book()
    result = book.roll()
    result.position_values.status[3, 0] = LotStatus.UNPRICED
    assert _offenders(book, result) == [[], [], [], [0]]


def test_a_snapshot_that_is_missing_or_too_early_is_found() -> None:
    book = _book()
    result = book.roll()
    result.snapshots.exists[1] = [True, False, True]
    assert _offenders(book, result)[1] == [1, 2]


def test_a_state_that_is_not_the_previous_one_is_found() -> None:
    book = _book()
    state = book.roll([0, 1]).state
    rest = book.roll([2, 3], state)
    inputs = book.lot_columns(), book.portfolio_columns(), book.flow_columns()
    other = replace(state, equity=state.equity + np.array([0, 1, 0]))
    assert [found.tolist() for found in identity_violations(*inputs, state, rest)] == [[], []]
    assert [found.tolist() for found in identity_violations(*inputs, other, rest)] == [[1], []]
