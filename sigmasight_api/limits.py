"""How much one owner may store: what keeps every book small enough to be read at once and exact to the cent.

A book whose amounts do not fit the ledger's integers would be left out of snapshots from then on.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Self

import sqlalchemy as sa

from sigmasight_api.books import PRIVATE, PUBLIC, Book, Lot
from sigmasight_api.repository import LOTS
from sigmasight_api.valuation import MONEY_UNITS, LotValue, lot_values
from sigmasight_api.view import MarketView
from sigmasight_assets.errors import BookError
from sigmasight_assets.market_data.protocol import SPLIT
from sigmasight_assets.position_rules import LARGEST_AMOUNT
from sigmasight_assets.positions_file import MAX_LINES
from sigmasight_assets.storage.book_tables import capital_flows, portfolios
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.tables import corporate_actions, symbol_daily_metrics

# As many as a file may hold, so that every book can be taken away as one.
MAX_LOTS = MAX_LINES
MAX_PORTFOLIOS = 1_000
MAX_FLOWS = 10_000
MAX_VALUATIONS = 10_000
# Of symbols that nobody has priced yet: the ledger can hold so many at 92,000 USD a share.
MAX_UNPRICED_SHARES = 1_000_000
NAMED_SYMBOLS = 20
# The first snapshot may value at a close of five sessions before it.
CARRIED_DAYS = timedelta(days=15)
# Each row of figures has the highest close of a year; those so far apart are read, to meet symbols that came or went.
SESSIONS_BETWEEN = 21

ViewOf = Callable[[Collection[str]], MarketView]


def require_room_for_lots(connection: sa.Connection, book: Book, view_of: ViewOf) -> None:
    """Raise ``BookError``, with the way out, when the lots of the book are too many or come to too much."""
    lots = [Lot(*row) for row in connection.execute(LOTS, {"portfolio": book.portfolio_id})]
    if len(lots) > MAX_LOTS:
        raise BookError(
            f"The portfolio would hold {len(lots):,} positions; {MAX_LOTS:,} are the most: delete those closed long "
            "ago, or open another portfolio"
        )
    view = view_of({lot.symbol for lot in lots})
    worths = lot_values(lots, view)
    traded = {lot.symbol for lot in lots if lot.investment_class != PRIVATE}
    past = _Past.of(connection, traded, since=book.as_of, until=view.as_of)
    total = sum((_largest(lot, worth, past) for lot, worth in zip(lots, worths, strict=True)), Decimal(0))
    if total > LARGEST_AMOUNT:
        raise BookError(
            f"The positions would come to more than {LARGEST_AMOUNT:,} USD, which cannot be exact: look for a quantity "
            "that is too large, or open another portfolio"
        )
    unpriced = [lot for lot, worth in zip(lots, worths, strict=True) if worth.close is None and _is_priced(lot, book)]
    if sum(abs(lot.quantity) * lot.multiplier for lot in unpriced) > MAX_UNPRICED_SHARES:
        names = ", ".join(sorted({lot.symbol for lot in unpriced})[:NAMED_SYMBOLS])
        raise BookError(
            f"Of symbols without a price yet ({names}) a portfolio holds at most {MAX_UNPRICED_SHARES:,} shares in "
            "all; enter the rest once they are ready"
        )


def _is_priced(lot: Lot, book: Book) -> bool:
    """Whether a snapshot finds the lot held, and values it at a price of the market."""
    return lot.investment_class != PRIVATE and (lot.exit_date is None or lot.exit_date > book.as_of)


@dataclass(frozen=True, slots=True)
class _Past:
    """By symbol: the splits that the market states, and a close, USD, that no snapshot finds exceeded."""

    splits: Mapping[str, Sequence[tuple[date, Fraction]]]
    highest: Mapping[str, Decimal]

    @classmethod
    def of(cls, connection: sa.Connection, symbols: Collection[str], *, since: date, until: date | None) -> Self:
        """Of these symbols and the snapshots between the dates; without closes when ``until`` is None."""
        actions, metrics = corporate_actions.c, symbol_daily_metrics.c
        found: dict[str, list[tuple[date, Fraction]]] = {}
        query = sa.select(actions.symbol, actions.ex_date, actions.ratio_numerator, actions.ratio_denominator)
        for symbol, ex_date, *ratio in connection.execute(
            query.where(actions.symbol.in_(symbols), actions.kind == SPLIT, actions.withdrawn_at.is_(None))
        ):
            found.setdefault(symbol, []).append((ex_date, Fraction(*ratio)))
        sessions = [] if until is None else read_calendar(connection).between(since - CARRIED_DAYS, until)
        highest = sa.select(metrics.symbol, sa.func.max(metrics.high_52w).label("highest")).where(
            metrics.symbol.in_(symbols), metrics.metrics_date.in_(sessions[::-SESSIONS_BETWEEN])
        )
        closes = connection.execute(highest.group_by(metrics.symbol))
        return cls(found, {row.symbol: row.highest for row in closes})

    def shares(self, lot: Lot, day: date) -> Fraction:
        """Shares of the day for one share as the lot's quantity states them."""
        factor = Fraction(1)
        for ex_date, ratio in self.splits.get(lot.symbol, ()) if lot.investment_class == PUBLIC else ():
            if lot.units_date < ex_date <= day:
                factor *= ratio
            elif day < ex_date <= lot.units_date:
                factor /= ratio
        return factor


def _largest(lot: Lot, worth: LotValue, past: _Past) -> Decimal:
    """The most that the lot adds to any sum of the ledger, USD."""
    prices = [(lot.entry_price, lot.entry_date), (lot.exit_price, lot.exit_date)]
    if lot.investment_class != PRIVATE:
        # Closes are stated after all splits.
        prices.append((past.highest.get(lot.symbol), date.max))
    amounts = [
        price * factor.numerator / factor.denominator
        for price, day in prices
        if price is not None and day is not None
        for factor in (past.shares(lot, day),)
    ]
    traded = abs(lot.quantity) * lot.multiplier * max(amounts, default=Decimal(0))
    return max(traded, abs(Decimal(worth.value or 0)) / MONEY_UNITS, *lot.valuations)


def require_room_for_flows(connection: sa.Connection, book: Book) -> None:
    """Raise ``BookError``, with the way out, when the flows of the book are too many or come to too much."""
    flows = capital_flows.c
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(sa.func.abs(flows.amount)), 0))
    count, moved = connection.execute(query.where(flows.portfolio_id == book.portfolio_id)).one()
    if count > MAX_FLOWS:
        raise BookError(
            f"The portfolio would have {count:,} capital flows; {MAX_FLOWS:,} are the most: add up old ones"
        )
    equity = sa.select(sa.func.abs(portfolios.c.stated_equity)).where(portfolios.c.portfolio_id == book.portfolio_id)
    if moved + connection.execute(equity).scalar_one() > LARGEST_AMOUNT:
        raise BookError(
            f"Equity and capital flows would come to more than {LARGEST_AMOUNT:,} USD, which cannot be exact"
        )


def require_room_for_portfolio(connection: sa.Connection, user_id: int) -> None:
    """Raise ``BookError`` when the user has as many portfolios as anybody may have."""
    query = sa.select(sa.func.count()).where(portfolios.c.user_id == user_id)
    if connection.execute(query).scalar_one() >= MAX_PORTFOLIOS:
        raise BookError(f"There are {MAX_PORTFOLIOS:,} portfolios, which is the most: delete one first")
