"""The ledger once more, in decimals, one portfolio, session and lot at a time, written from formulas.md section 5."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from tests.quant.ledger_books import Book, Lot

ZERO = Decimal(0)


@dataclass
class LotRow:
    """One lot at one session."""

    status: str = "not_held"
    price: Decimal = ZERO
    value: Decimal = ZERO
    pnl: Decimal = ZERO
    has_mark: bool = False


@dataclass
class Row:
    """One snapshot; ``lots`` maps the position of a lot in the book to its row."""

    equity: Decimal = ZERO
    long_value: Decimal = ZERO
    short_value: Decimal = ZERO
    unpriced_value: Decimal = ZERO
    unpriced_size: Decimal = ZERO
    stale_size: Decimal = ZERO
    daily_pnl: Decimal = ZERO
    daily_return: float | None = None
    cumulative_pnl: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    unrealized_pnl: Decimal = ZERO
    capital_flow: Decimal = ZERO
    long_positions: int = 0
    short_positions: int = 0
    stale_positions: int = 0
    excluded_positions: int = 0
    lots: dict[int, LotRow] = field(default_factory=dict)


def oracle_rows(book: Book, portfolio: int, rows: list[int]) -> list[Row | None]:
    """Snapshots of one portfolio at the calendar's sessions in ``rows``; None before its first."""
    start, stated_equity = book.portfolios[portfolio]
    lots = {index: lot for index, lot in enumerate(book.lots) if lot.portfolio == portfolio}
    last_used: dict[int, Decimal] = {}
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
            _count(row, lot, row.lots[index])
            if since is not None and lot.exit_date is not None and since < lot.exit_date <= day:
                row.realized_pnl += lot.quantity * lot.multiplier * (lot.exit_price - lot.entry_price)
        if previous is None:
            row.equity = stated_equity
        else:
            since, before = previous
            row.capital_flow = sum(
                (flow.amount for flow in book.flows if flow.portfolio == portfolio and since < flow.flow_date <= day),
                ZERO,
            )
            row.equity = before.equity + row.daily_pnl + row.capital_flow
            row.cumulative_pnl = before.cumulative_pnl + row.daily_pnl
            base = before.equity + row.capital_flow
            row.daily_return = float(row.daily_pnl / base) if base > 0 else None
        answer.append(row)
        previous = (day, row)
    return answer


def _lot_row(book: Book, index: int, since: date | None, session_row: int, last_used: dict[int, Decimal]) -> LotRow:
    """The row of one lot; ``last_used`` is brought up to date."""
    lot = book.lots[index]
    day = book.calendar[session_row]
    row = LotRow()
    size = lot.quantity * lot.multiplier
    closed = lot.exit_date is not None and lot.exit_date <= day
    before = last_used.get(index, lot.entry_price)
    if closed:
        if since is not None and lot.exit_date is not None and lot.exit_date > since:
            row.pnl = size * (lot.exit_price - before)
        return row
    if lot.entry_date > day:
        return row
    in_force, age = _price_in_force(book, lot.symbol, session_row)
    if in_force is None:
        row.status, row.price = "unpriced", before
    else:
        row.status, row.price = ("priced" if age == 0 else "stale"), in_force
        last_used[index] = in_force
        if since is not None:
            row.pnl = size * (in_force - before)
    row.value = size * row.price
    row.has_mark = index in last_used
    return row


def _price_in_force(book: Book, symbol: int, session_row: int) -> tuple[Decimal | None, int]:
    for age in range(6):
        if session_row - age >= 0:
            close = book.closes[session_row - age][symbol]
            if close is not None:
                return close, age
    return None, -1


def _count(row: Row, lot: Lot, lot_row: LotRow) -> None:
    row.daily_pnl += lot_row.pnl
    if lot_row.status == "not_held":
        return
    if lot.quantity > 0:
        row.long_positions += 1
    else:
        row.short_positions += 1
    row.unrealized_pnl += lot.quantity * lot.multiplier * (lot_row.price - lot.entry_price)
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
