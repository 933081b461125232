"""The overview answer: holdings and a market view in, the document out. No database, no clock."""

import numpy as np

from sigmasight_api.answers import whole_book
from sigmasight_api.books import OPTIONS, PRIVATE, PUBLIC, Book, Holdings
from sigmasight_api.concentration import concentration_of
from sigmasight_api.exposures import factor_exposures
from sigmasight_api.formats import cents
from sigmasight_api.overview_schemas import NewestSnapshot, Overview, ValuesNow
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.valuation import BookValues
from sigmasight_api.view import MarketView
from sigmasight_api.volatility import volatility


def overview(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[Overview]:
    """The answer for a portfolio; what it states beside the numbers is of the positions of all classes."""
    held, around = whole_book(book, holdings, view)
    parts = concentration_of(held)
    exposures, moves = factor_exposures(book, holdings, view), volatility(book, holdings, view)
    values = np.array(list(held.values.values()), dtype=np.float64)
    return AnalyticsAnswer[Overview](
        **around,
        data=Overview(
            snapshot=_snapshot(book),
            values=_values(book, held),
            positions=values.size,
            long_positions=int((values > 0).sum()),
            short_positions=int((values < 0).sum()),
            positions_without_value=len(held.without),
            market_beta=exposures.data.factors[0].exposure,
            realized_volatility_21=moves.data.realized_21,
            expected_volatility_21=moves.data.expected_21,
            effective_positions=parts.effective_positions,
            largest=parts.largest,
        ),
    )


def _snapshot(book: Book) -> NewestSnapshot | None:
    pnl, cumulative, unrealized = book.daily_pnl, book.cumulative_pnl, book.unrealized_pnl
    if book.equity is None or book.equity_session is None or pnl is None or cumulative is None or unrealized is None:
        return None
    return NewestSnapshot(
        session=book.equity_session,
        equity=cents(book.equity),
        daily_pnl=cents(pnl),
        daily_return=book.daily_return,
        cumulative_pnl=cents(cumulative),
        unrealized_pnl=cents(unrealized),
        is_partial=bool(book.is_partial),
    )


def _values(book: Book, held: BookValues) -> ValuesNow:
    long_value = sum(value for value in held.values.values() if value > 0)
    short_value = sum(value for value in held.values.values() if value < 0)
    of_class = dict.fromkeys((PUBLIC, OPTIONS, PRIVATE), 0.0)
    for (kind, _), value in held.values.items():
        of_class[kind] += value
    equity = float(book.equity) if book.equity is not None and book.equity > 0 else None
    return ValuesNow(
        long_value=cents(long_value),
        short_value=cents(short_value),
        gross=cents(long_value - short_value),
        net=cents(long_value + short_value),
        public_value=cents(of_class[PUBLIC]),
        options_value=cents(of_class[OPTIONS]),
        private_value=cents(of_class[PRIVATE]),
        gross_leverage=None if equity is None else (long_value - short_value) / equity,
        net_leverage=None if equity is None else (long_value + short_value) / equity,
    )
