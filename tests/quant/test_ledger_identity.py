"""The blocking check finds whatever is wrong, and names the portfolio and the session."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from sigmasight_assets.quant.snapshots import LotStatus
from tests.quant.ledger_books import Book, Dividend, Flow, Lot, Split

MONDAY = date(2024, 3, 4)
WEEK = [MONDAY + timedelta(days=n) for n in range(4)]


def _book() -> Book:
    """Three portfolios, the last one later; symbol 1 never has a price, symbol 0 pays twice and is split 3:2."""
    lots = [
        Lot(portfolio, symbol, Decimal(quantity), Decimal(100), MONDAY - timedelta(days=9), exit_date, Decimal(125))
        for portfolio in range(3)
        for symbol, quantity, exit_date in ((0, 10, None), (0, -3, WEEK[2]), (1, 5, None))
    ]
    closes: list[list[Decimal | None]] = [[Decimal(value), None] for value in (100, 110, 120, 130)]
    starts = [(MONDAY, Decimal(9_000)), (MONDAY, Decimal(8_000)), (WEEK[2], Decimal(7_000))]
    flows = [Flow(1, WEEK[1], Decimal(40)), Flow(2, WEEK[3], Decimal(30))]
    dividends = [Dividend(0, WEEK[n], Decimal("0.123457")) for n in (2, 3)]
    return Book(starts, lots, WEEK, closes, flows, [Split(0, WEEK[1], 3, 2)], dividends)


def test_a_sound_ledger_has_no_offender() -> None:
    book = _book()
    assert book.offenders(book.roll()) == [[], [], [], []]


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_sound_ledger_goes_on_from_any_state(last: int) -> None:
    """Also on the session on which a lot was entered, and on that on which one was closed."""
    book = _book()
    late = [Lot(2, 0, Decimal(7), Decimal(90), day) for day in (WEEK[1], WEEK[2])]
    book = replace(book, lots=[*book.lots, *late])
    state = book.roll(list(range(last + 1))).state
    rest = list(range(last + 1, len(WEEK)))
    assert book.offenders(book.roll(rest, state), state) == [[] for _ in rest]


def test_large_dividends_are_added_up_exactly() -> None:
    lot = Lot(0, 0, Decimal("1000000001.0001"), Decimal(1), MONDAY - timedelta(days=9))
    dividends = [Dividend(0, WEEK[1], Decimal("0.123457"))]
    book = Book([(MONDAY, Decimal(0))], [lot], WEEK[:2], [[Decimal(1)], [Decimal(1)]], dividends=dividends)
    assert book.roll().snapshots.dividends[1, 0] == 12_345_700_012_346_935
    assert book.offenders(book.roll()) == [[], []]


def test_a_lot_entered_on_an_ex_date_is_not_paid() -> None:
    book = _book()
    book = replace(book, lots=[Lot(0, 0, Decimal(7), Decimal(90), WEEK[2]), *book.lots])
    assert book.offenders(book.roll()) == [[], [], [], []]


def _large_book() -> Book:
    """Sums beyond 2**53, where floats are two units apart: a large lot, and one worth and paid a single unit."""
    before = MONDAY - timedelta(days=9)
    large = Lot(0, 0, Decimal("1000000001.0001"), Decimal("0.1235"), before)
    small = Lot(0, 1, Decimal("0.0001"), Decimal("0.0001"), before)
    dividends = [Dividend(0, WEEK[1], Decimal("0.123457")), Dividend(1, WEEK[1], Decimal("0.0001"))]
    closes: list[list[Decimal | None]] = [[Decimal("0.1235"), Decimal("0.0001")]] * 2
    return Book([(MONDAY, Decimal(0))], [large, small], WEEK[:2], closes, dividends=dividends)


def test_one_unit_of_a_large_value_is_found() -> None:
    book = replace(_large_book(), dividends=[])
    result = book.roll()
    snapshots = result.snapshots
    assert snapshots.net[1, 0] == 12_350_000_012_351_236
    for column in ("long_value", "net", "gross"):
        getattr(snapshots, column)[1, 0] -= 1
    snapshots.cash[1, 0] += 1
    assert book.offenders(result) == [[], [0]]


def test_one_unit_of_large_dividends_is_found() -> None:
    book = _large_book()
    assert book.offenders(book.roll()) == [[], []]
    without = replace(book, dividends=book.dividends[:1]).roll()
    assert without.snapshots.dividends[1, 0] == 12_345_700_012_346_935
    assert book.offenders(without) == [[], [0]]


@pytest.mark.parametrize("column", ["long_value", "unpriced_value"])
def test_columns_that_agree_with_each_other_but_not_with_the_lots_are_found(column: str) -> None:
    book = _book()
    result = book.roll()
    snapshots = result.snapshots
    for raised in [column] if column == "unpriced_value" else [column, "net", "gross"]:
        getattr(snapshots, raised)[1, 1] += 1
    snapshots.cash[1, 1] -= 1
    assert book.offenders(result)[1] == [1]


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
        "dividends",
    ],
)
@pytest.mark.parametrize("session", [0, 2, 3])
def test_one_unit_too_much_in_any_column_is_found(column: str, session: int) -> None:
    book = _book()
    result = book.roll()
    getattr(result.snapshots, column)[session, 1] += 1
    found = book.offenders(result)
    assert found[session] == [1]
    assert not any(found[:session])


@pytest.mark.parametrize("column", ["value", "pnl"])
def test_one_unit_too_much_in_a_lot_is_found(column: str) -> None:
    book = _book()
    result = book.roll()
    for lot in (3, 5):
        getattr(result.position_values, column)[1, lot] += 1
    assert book.offenders(result) == [[], [1], [], []]


def test_a_first_snapshot_that_is_wrong_throughout_is_found() -> None:
    book = _book()
    result = book.roll()
    result.snapshots.equity[0, 0] += 1
    result.snapshots.cash[0, 0] += 1
    result.position_values.pnl[0, 3] += 1
    result.snapshots.daily_pnl[0, 1] += 1
    assert book.offenders(result)[0] == [0, 1]


def test_a_priced_lot_reported_as_unpriced_is_found() -> None:
    book = _book()
    result = book.roll()
    result.position_values.status[3, 0] = LotStatus.UNPRICED
    assert book.offenders(result) == [[], [], [], [0]]


def test_a_snapshot_that_is_missing_or_too_early_is_found() -> None:
    book = _book()
    result = book.roll()
    result.snapshots.exists[1] = [True, False, True]
    assert book.offenders(result)[1] == [1, 2]


def test_a_state_that_is_not_the_previous_one_is_found() -> None:
    book = _book()
    state = book.roll([0, 1]).state
    rest = book.roll([2, 3], state)
    other = replace(state, equity=state.equity + np.array([0, 1, 0]))
    assert book.offenders(rest, state) == [[], []]
    assert book.offenders(rest, other) == [[1], []]


@pytest.mark.parametrize("number", [0, 1])
def test_a_dividend_that_was_left_out_is_found_wherever_a_lot_was_paid(number: int) -> None:
    book = _book()
    without = replace(book, dividends=[book.dividends[1 - number]]).roll()
    # The third portfolio begins with the ex-date of the first dividend, which counts as part of its equity.
    expected = [[], [], [0, 1], []] if number == 0 else [[], [], [], [0, 1, 2]]
    assert book.offenders(without) == expected
