"""A split that becomes known between two pieces of a range: what the vendor's rounding of restated prices costs."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.quant.snapshots import LedgerResult, LotStatus
from tests.quant.ledger_books import PUBLIC, Book, Lot, Split, money
from tests.quant.ledger_oracle import units_now
from tests.quant.ledger_strategies import CALENDAR, books, checked, ratios, row_choices

MONDAY = date(2024, 3, 4)
WEEK = [MONDAY + timedelta(days=n) for n in range(5)]
# Half of the last digit that a vendor states, in dollars a share.
PRICE_ROUNDING, DIVIDEND_ROUNDING = Fraction(5, 10**5), Fraction(5, 10**7)
MONEY_UNIT = Fraction(1, 10**8)


def restated(amount: Decimal, split: Split, digits: int) -> Decimal:
    """An amount a share of before the split, as a vendor states it once the split is known."""
    exact = amount * split.denominator / split.numerator
    return exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)


def restated_book(book: Book, split: Split) -> Book:
    """``book``, whose symbol 0 is in the units before the split, as it is stated when the split is known."""
    is_before = [day < split.ex_date for day in book.calendar]
    closes = [
        [restated(first, split, 4) if before and first is not None else first, *others]
        for (first, *others), before in zip(book.closes, is_before, strict=True)
    ]
    dividends = [
        replace(dividend, amount=restated(dividend.amount, split, 6))
        if dividend.symbol == 0 and dividend.ex_date < split.ex_date
        else dividend
        for dividend in book.dividends
    ]
    return replace(book, closes=closes, dividends=dividends, splits=[split])


def test_a_split_learnt_with_the_ex_date_costs_no_more_than_the_rounding_of_one_price() -> None:
    lot = Lot(0, 0, Decimal(10), Decimal(90), MONDAY - timedelta(days=30))
    closes: list[list[Decimal | None]] = [[Decimal(text)] for text in ("100", "101", "33.5", "34")]
    book = Book([(MONDAY, Decimal(10_000))], [lot], WEEK[:4], closes)
    known = restated_book(book, Split(0, WEEK[2], 3))
    assert known.closes[0][0] == Decimal("33.3333")
    state = book.roll([0, 1]).state
    rest = known.roll([2, 3], state)
    assert not any(known.offenders(rest, state))
    # 30 x 34 - 10 x 100; at once it is 30 x 34 - 30 x 33.3333.
    assert rest.snapshots.equity[:, 0].tolist() == [money(10_005), money(10_020)]
    assert known.roll().snapshots.equity[2:, 0].tolist() == [money("10005.001"), money("10020.001")]


@st.composite
def books_with_a_late_split(draw: st.DrawFn) -> tuple[Book, Split, int]:
    """A book before the split is known, the split of symbol 0, and the first row of the calendar that knows it."""
    cut = draw(st.integers(1, len(CALENDAR) - 1))
    days_until = draw(st.integers(1, 6))
    split = Split(0, CALENDAR[cut - 1] + timedelta(days=days_until), *draw(ratios))
    book = draw(books())
    # A price that is restated to nothing would be a missing one.
    closes = [[first and max(first, Decimal(1)), *others] for first, *others in book.closes]
    # The column of symbol 0 holds prices of a share; an option has another one.
    columns = [max(lot.symbol, 0 if lot.kind == PUBLIC else 1) for lot in book.lots]
    lots = [replace(lot, units_date=None, symbol=column) for lot, column in zip(book.lots, columns, strict=True)]
    return replace(book, lots=lots, closes=closes, splits=[]), split, cut


def _cost_of_rounding(known: Book, unaware: LedgerResult, rest: LedgerResult, portfolio: int, t: int) -> Fraction:
    """What the rounding of restated prices and dividends may make of the equity at session ``t`` of ``rest``."""
    bound = Fraction(0)
    existing = np.flatnonzero(unaware.snapshots.exists[:, portfolio])
    if not existing.size:
        return bound
    first, since, until = existing[0], unaware.sessions[existing[0]], unaware.sessions[-1]
    for index, lot in enumerate(known.lots):
        if lot.portfolio != portfolio or lot.kind != PUBLIC or lot.symbol != 0:
            continue
        # Values in between cancel: the first and the last one are left, when they are at prices of before the split.
        prices = int(unaware.position_values.has_mark[first, index])
        prices += int(rest.position_values.status[t, index] == LotStatus.UNPRICED)
        paid = [day for day in known.dividends if since < np.datetime64(day.ex_date) <= until]
        size = abs(units_now(known, lot))
        bound += size * (prices * PRICE_ROUNDING + len(paid) * DIVIDEND_ROUNDING) + (2 + len(paid)) * MONEY_UNIT
    return bound


@checked
@given(drawn=books_with_a_late_split(), rows=row_choices)
def test_a_split_learnt_midway_changes_equity_by_no_more_than_the_vendors_rounding(
    drawn: tuple[Book, Split, int], rows: list[int]
) -> None:
    book, split, cut = drawn
    known = restated_book(book, split)
    earlier, later = [row for row in rows if row < cut], [row for row in rows if row >= cut]
    unaware = book.roll(earlier)
    rest = known.roll(later, unaware.state)
    assert not any(known.offenders(rest, unaware.state))
    at_once = known.roll(rows).snapshots.equity[len(earlier) :]
    for p in range(len(book.portfolios)):
        for t in range(len(later)):
            difference = Fraction(int(rest.snapshots.equity[t, p]) - int(at_once[t, p]), 10**8)
            assert abs(difference) <= _cost_of_rounding(known, unaware, rest, p, t)
