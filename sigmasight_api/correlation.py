"""The correlation answer: holdings and a market view in, the document out. No database, no clock.

Source: formulas.md section 8.
"""

import numpy as np

from sigmasight_api.book_series import short_reason, surroundings
from sigmasight_api.books import Book, Holdings
from sigmasight_api.formats import optional_number
from sigmasight_api.risk_schemas import Correlations, MissingNumber, MissingReason
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.valuation import ValuedPositions, valued_positions
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.arrays import IntArray
from sigmasight_assets.quant.correlation import (
    MIN_JOINT,
    Diversification,
    correlation_matrix,
    diversification,
    mutual_correlation,
)

MAX_SYMBOLS = 50
DEFAULT_SESSIONS, MIN_SESSIONS, MAX_SESSIONS = 90, 30, 252


def correlations(
    book: Book, holdings: Holdings, view: MarketView, *, sessions: int = DEFAULT_SESSIONS
) -> AnalyticsAnswer[Correlations]:
    """The answer for a portfolio over the newest ``sessions``; its newest snapshot is not newer than the view."""
    valued = valued_positions(holdings.shares, view)
    places: IntArray = np.array(valued.largest_first()[:MAX_SYMBOLS], dtype=np.int64)
    is_shown = np.zeros(len(valued.symbols), dtype=np.bool_)
    is_shown[places] = True
    return AnalyticsAnswer[Correlations](
        **surroundings(book, holdings, view, valued, is_used=is_shown),
        data=_numbers(valued, places, view, sessions=sessions),
    )


def _numbers(valued: ValuedPositions, places: IntArray, view: MarketView, *, sessions: int) -> Correlations:
    returns = view.returns[valued.rows[places], -sessions:].T
    has_returns = np.isfinite(returns)
    used = view.sessions[-sessions:][has_returns.any(axis=1)]
    symbols = [valued.symbols[place] for place in places]
    matrix = correlation_matrix(returns)
    mutual = mutual_correlation(matrix)
    whole = diversification(matrix, returns, valued.market_value[places])
    numbers = {
        "mean_correlation": mutual.signed,
        "mean_absolute_correlation": mutual.absolute,
        "diversification_ratio": whole.ratio,
        "effective_bets": whole.effective_bets,
    }
    # Those that have returns enough and yet no correlation.
    is_flat = bool(np.any(np.isnan(matrix.diagonal()) & (has_returns.sum(axis=0) >= MIN_JOINT)))
    reasons = {name: _reason(name, valued, whole, is_flat=is_flat) for name, value in numbers.items() if value is None}
    return Correlations(
        sessions=used.size,
        first_session=used[0].item() if used.size else None,
        last_session=used[-1].item() if used.size else None,
        symbols=symbols,
        symbols_not_shown=len(valued.symbols) - len(symbols),
        matrix=[[optional_number(value) for value in row] for row in matrix.tolist()],
        **numbers,
        symbols_without_all=[symbol for place, symbol in enumerate(symbols) if place not in whole.places],
        is_repaired=whole.is_repaired,
        missing=[
            MissingNumber(name=name, reason=reason, observations=None, needed=None) for name, reason in reasons.items()
        ],
    )


def _reason(name: str, valued: ValuedPositions, whole: Diversification, *, is_flat: bool) -> MissingReason:
    if name.startswith("mean") and len(valued.symbols) == 1:
        return "single_position"
    is_hedged = name == "diversification_ratio" and whole.places.size > 0
    return "no_variation" if is_hedged or is_flat else short_reason(valued)
