"""The ledger once more, in fractions, one portfolio, session and lot at a time, written from formulas.md section 5."""

import math
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from tests.quant.ledger_books import PRIVATE, PUBLIC, Book, Lot

ZERO = Fraction(0)
UNIT = Fraction(1, 10**8)


@dataclass
class LotRow:
    """One lot at one session."""

    status: str = "not_held"
    price: Fraction = ZERO
    value: Fraction = ZERO
    pnl: Fraction = ZERO
    dividends: Fraction = ZERO
    has_mark: bool = False


@dataclass
class Row:
    """One snapshot; ``lots`` maps the position of a lot in the book to its row."""

    equity: Fraction = ZERO
    long_value: Fraction = ZERO
    short_value: Fraction = ZERO
    unpriced_value: Fraction = ZERO
    unpriced_size: Fraction = ZERO
    stale_size: Fraction = ZERO
    daily_pnl: Fraction = ZERO
    daily_return: float | None = None
    cumulative_pnl: Fraction = ZERO
    realized_pnl: Fraction = ZERO
    unrealized_pnl: Fraction = ZERO
    capital_flow: Fraction = ZERO
    dividends: Fraction = ZERO
    long_positions: int = 0
    short_positions: int = 0
    stale_positions: int = 0
    excluded_positions: int = 0
    lots: dict[int, LotRow] = field(default_factory=dict)


@dataclass
class _LastUsed:
    """What a lot was valued at last."""

    value: Fraction
    price: Fraction


def oracle_rows(book: Book, portfolio: int, rows: list[int]) -> list[Row | None]:
    """Snapshots of one portfolio at the calendar's sessions in ``rows``; None before its first."""
    start, stated_equity = book.portfolios[portfolio]
    lots = {index: lot for index, lot in enumerate(book.lots) if lot.portfolio == portfolio}
    last_used: dict[int, _LastUsed] = {}
    previous: tuple[date, Row] | None = None
    answer: list[Row | None] = []
    for session_row in rows:
        day = book.calendar[session_row]
        if previous is None and start > day:
            answer.append(None)
            continue
        row = Row()
        for index, lot in lots.items():
            since = None if previous is None else previous[0]
            row.lots[index] = _lot_row(book, index, since, session_row, last_used)
            _count(row, lot, row.lots[index], cost(book, lot))
            if since is not None and lot.exit_date is not None and since < lot.exit_date <= day:
                row.realized_pnl += proceeds(book, lot) - cost(book, lot)
        if previous is None:
            row.equity = Fraction(stated_equity)
        else:
            since, before = previous
            row.capital_flow = sum(
                (
                    Fraction(flow.amount)
                    for flow in book.flows
                    if flow.portfolio == portfolio and since < flow.flow_date <= day
                ),
                ZERO,
            )
            row.equity = before.equity + row.daily_pnl + row.capital_flow
            row.cumulative_pnl = before.cumulative_pnl + row.daily_pnl
            base = before.equity + row.capital_flow
            row.daily_return = float(row.daily_pnl / base) if base > 0 else None
        answer.append(row)
        previous = (day, row)
    return answer


def split_ratio(book: Book, lot: Lot, after: date, until: date | None) -> Fraction:
    """How many shares at ``until`` (None: after all splits) one share of the lot at ``after`` became."""
    return math.prod(
        (
            Fraction(split.numerator, split.denominator)
            for split in book.splits
            if lot.kind == PUBLIC
            and split.symbol == lot.symbol
            and split.ex_date > after
            and (until is None or split.ex_date <= until)
        ),
        start=Fraction(1),
    )


def cost(book: Book, lot: Lot) -> Fraction:
    """What the lot was bought for."""
    shares = Fraction(lot.quantity) / split_ratio(book, lot, lot.entry_date, lot.stated_on)
    return _rounded(shares * lot.multiplier * Fraction(lot.entry_price))


def proceeds(book: Book, lot: Lot) -> Fraction:
    """What the lot was sold for."""
    shares = Fraction(lot.quantity) * split_ratio(book, lot, lot.stated_on, lot.exit_date)
    return _rounded(shares * lot.multiplier * Fraction(lot.exit_price))


def units_now(book: Book, lot: Lot) -> Fraction:
    """Signed units of what the closes are prices of."""
    return Fraction(lot.quantity) * split_ratio(book, lot, lot.stated_on, None) * lot.multiplier


def _rounded(amount: Fraction) -> Fraction:
    """To 1e-8, half-even."""
    return round(amount / UNIT) * UNIT


def _lot_row(book: Book, index: int, since: date | None, session_row: int, last_used: dict[int, _LastUsed]) -> LotRow:
    """The row of one lot; ``last_used`` is brought up to date."""
    lot = book.lots[index]
    day = book.calendar[session_row]
    row = LotRow()
    if lot.entry_date > day:
        return row
    if since is not None:
        row.dividends = _dividends(book, lot, since, day)
    known = last_used.get(index, _LastUsed(cost(book, lot), ZERO))
    if lot.exit_date is not None and lot.exit_date <= day:
        if since is not None and lot.exit_date > since:
            row.pnl = proceeds(book, lot) - known.value + row.dividends
        return row
    in_force, age = _valuation(lot, day) if lot.kind == PRIVATE else _close(book, lot.symbol, session_row)
    if in_force is None:
        row.status = "unpriced"
    else:
        row.status = "priced" if age == 0 else "stale"
        last_used[index] = _LastUsed(_rounded(units_now(book, lot) * in_force), in_force)
        if since is not None:
            row.pnl = last_used[index].value - known.value
    row.pnl += row.dividends
    now = last_used.get(index, known)
    row.price, row.value, row.has_mark = now.price, now.value, index in last_used
    return row


def _dividends(book: Book, lot: Lot, since: date, day: date) -> Fraction:
    """What the lot was paid in (since, day]; a dividend goes to whoever held the share before the ex-date."""
    paid = ZERO
    for dividend in book.dividends:
        held = lot.entry_date < dividend.ex_date and (lot.exit_date is None or dividend.ex_date <= lot.exit_date)
        if lot.kind == PUBLIC and dividend.symbol == lot.symbol and held and since < dividend.ex_date <= day:
            paid += _rounded(units_now(book, lot) * Fraction(dividend.amount))
    return paid


def _valuation(lot: Lot, day: date) -> tuple[Fraction | None, int]:
    amounts = [(valued_on, amount) for valued_on, amount in lot.valuations if valued_on <= day]
    return (Fraction(max(amounts)[1]), 0) if amounts else (None, -1)


def _close(book: Book, symbol: int, session_row: int) -> tuple[Fraction | None, int]:
    for age in range(6):
        if session_row - age >= 0:
            close = book.closes[session_row - age][symbol]
            if close is not None:
                return Fraction(close), age
    return None, -1


def _count(row: Row, lot: Lot, lot_row: LotRow, lot_cost: Fraction) -> None:
    row.daily_pnl += lot_row.pnl
    row.dividends += lot_row.dividends
    if lot_row.status == "not_held":
        return
    if lot.quantity > 0:
        row.long_positions += 1
    else:
        row.short_positions += 1
    row.unrealized_pnl += lot_row.value - lot_cost
    if lot_row.status == "unpriced":
        row.excluded_positions += 1
        row.unpriced_value += lot_row.value
        row.unpriced_size += abs(lot_row.value)
        return
    if lot_row.status == "stale":
        row.stale_positions += 1
        row.stale_size += abs(lot_row.value)
    if lot_row.value > 0:
        row.long_value += lot_row.value
    else:
        row.short_value += lot_row.value
