"""The daily gains that a book as it is now would have had, and what is said of them in answers.

No database, no clock. Source: formulas.md section 8.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

import numpy as np

from sigmasight_api.answers import Surroundings, carried_closes, stated
from sigmasight_api.books import OPTIONS, PRIVATE, Book, Holdings
from sigmasight_api.formats import cents
from sigmasight_api.risk_schemas import MissingReason, ReturnSeries, WeightsBasis
from sigmasight_api.schemas import Excluded
from sigmasight_api.valuation import ValuedPositions, entry_values, held_options, private_share, valued_positions
from sigmasight_api.view import NO_PRICE, MarketView
from sigmasight_assets.quant.arrays import BoolArray, DateArray, FloatArray
from sigmasight_assets.quant.book_returns import book_returns, has_enough_returns

SHORT_HISTORY = "short_history"


@dataclass(frozen=True, slots=True, eq=False)
class BookSeries:
    """Gains of the PUBLIC positions, in USD, by session.

    ``valued``, ``is_used`` (N,)
        the positions that have a close, and which of them the series contains
    ``basis``, ``equity``
        how they were weighted, and what their gains are to be related to, USD
    ``sessions``, ``gains`` (T,)
        those on which the book has a return, and what it would have gained
    ``all_sessions``
        all that were looked at
    """

    valued: ValuedPositions
    is_used: BoolArray
    basis: WeightsBasis
    equity: Decimal
    sessions: DateArray
    gains: FloatArray
    all_sessions: DateArray

    @classmethod
    def of(cls, book: Book, holdings: Holdings, view: MarketView) -> Self:
        """The series over all sessions of the view, at the values that the book has."""
        valued = valued_positions(holdings.shares, view)
        returns = view.returns[valued.rows].T
        is_used = has_enough_returns(returns)
        basis: WeightsBasis = "snapshot"
        values, equity = valued.market_value, book.equity
        if equity is None:
            costs = entry_values(holdings.shares, view)
            values = np.array([costs[symbol] for symbol in valued.symbols], dtype=np.float64)
            basis, equity = "entry_prices", book.stated_equity
        gains = book_returns(returns[:, is_used], values[is_used])
        known = np.isfinite(gains)
        return cls(valued, is_used, basis, equity, view.sessions[known], gains[known], view.sessions)

    @property
    def has_equity(self) -> bool:
        """Whether gains can be related to it."""
        return self.equity > 0

    @property
    def returns(self) -> FloatArray:
        """Gains as shares of the equity, (T,), dimensionless; to be asked for only where it is positive."""
        returns: FloatArray = self.gains / float(self.equity)
        return returns

    @property
    def reason(self) -> MissingReason:
        """Why a number that needs more returns than there are is missing."""
        return short_reason(self.valued)

    def described(self, observations: int) -> ReturnSeries:
        """What is said of the last of its returns, so many of them."""
        sessions = self.sessions[len(self.sessions) - observations :]
        looked_at = self.all_sessions[self.all_sessions >= sessions[0]] if sessions.size else self.all_sessions
        return ReturnSeries(
            weights_basis=self.basis,
            equity=cents(self.equity),
            observations=observations,
            sessions_left_out=looked_at.size - observations,
            first_session=sessions[0].item() if sessions.size else None,
            last_session=sessions[-1].item() if sessions.size else None,
        )

    def surroundings(self, book: Book, holdings: Holdings, view: MarketView) -> Surroundings:
        """What the answer states beside the numbers; ratios are given before the first snapshot too."""
        short = [symbol for symbol, used in zip(self.valued.symbols, self.is_used, strict=True) if not used]
        found = surroundings(book, holdings, view, self.valued, is_used=self.is_used, short=short)
        found["ratios_reason"] = None if self.has_equity else "equity_not_positive"
        return found


def surroundings(
    book: Book,
    holdings: Holdings,
    view: MarketView,
    valued: ValuedPositions,
    *,
    is_used: BoolArray,
    short: Sequence[str] = (),
) -> Surroundings:
    """What an answer about PUBLIC positions states beside its numbers.

    ``is_used`` (N,) are the valued positions that the numbers contain; ``short`` those to be named for having too few
    returns.
    """
    absolute = np.abs(valued.market_value)
    gross = float(absolute.sum())
    options = held_options(holdings, view, snapshot_session=book.equity_session)
    return Surroundings(
        **stated(book, view),
        coverage=float(absolute[is_used].sum()) / gross if gross > 0 else None,
        private_share=private_share(valued, options, holdings.private, view),
        excluded=_excluded(holdings, options, valued, short),
        incomplete=[],
        carried=carried_closes(valued, view),
    )


def short_reason(valued: ValuedPositions) -> MissingReason:
    """Why there are too few returns."""
    if valued.symbols:
        return "short_history"
    return "no_price" if valued.unpriced else "no_positions"


def _excluded(
    holdings: Holdings, options: Iterable[str], valued: ValuedPositions, short: Sequence[str]
) -> list[Excluded]:
    left_out = (
        *((symbol, NO_PRICE) for symbol in valued.unpriced),
        *((symbol, SHORT_HISTORY) for symbol in short),
        *((symbol, OPTIONS.lower()) for symbol in options),
        *((lot.symbol, PRIVATE.lower()) for lot in holdings.private),
    )
    entries = [Excluded(symbol=symbol, reason=reason) for symbol, reason in dict.fromkeys(left_out)]
    return sorted(entries, key=lambda entry: entry.symbol)
