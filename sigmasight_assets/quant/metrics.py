"""Daily figures of every symbol: total returns since calendar anchors, volatility, yearly range, dollar volume, score.

Source: formulas.md section 4. Which session an anchor falls on is the caller's to say: nothing here knows dates.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.returns import present_prices, simple_returns

SESSIONS_PER_YEAR = 252
SHORT_WINDOW = 21
LONG_WINDOW = 63


@dataclass(frozen=True)
class SymbolMetrics:
    """Figures of the requested sessions, each array (rows, symbols), NaN where one cannot be given.

    Returns and volatilities are dimensionless (0.01 is 1 %; volatilities are annual), the yearly range is in price
    units, dollar volume in dollars a day. ``missing_returns_21d`` counts absent returns among the last 21.
    """

    return_1d: FloatArray
    return_mtd: FloatArray
    return_ytd: FloatArray
    return_1m: FloatArray
    return_3m: FloatArray
    return_1y: FloatArray
    volatility_21d: FloatArray
    volatility_63d: FloatArray
    high_52w: FloatArray
    low_52w: FloatArray
    dollar_volume_21d: FloatArray
    missing_returns_21d: IntArray


def symbol_metrics(
    close: FloatArray, adj_close: FloatArray, volume: FloatArray, *, rows: IntArray, anchors: IntArray
) -> SymbolMetrics:
    """Figures of every symbol at every session of ``rows``.

    ``close``, ``adj_close`` and ``volume`` are (sessions, symbols); NaN is missing, and so is a price that is not
    positive. ``anchors`` (rows, 5) holds the positions of the base sessions of the returns to date: the last session
    before the month, before the year, and on or before 1 month, 3 months and 1 year earlier; -1 where it is not among
    the sessions. Both ends of a return need a price; volatility (sample standard deviation times sqrt 252) and dollar
    volume need every session of their window; the range takes what closes the last 252 sessions have and needs one at
    the session.
    """
    total_price = present_prices(adj_close)
    traded_price = present_prices(close)
    returns = simple_returns(adj_close)
    return_mtd, return_ytd, return_1m, return_3m, return_1y = (
        _returns_since(total_price, rows=rows, bases=anchors[:, base]) for base in range(anchors.shape[1])
    )
    no_close = np.isnan(traded_price[rows])
    high = _windowed(np.fmax.reduce, traded_price, rows=rows, window=SESSIONS_PER_YEAR, cut=True)
    low = _windowed(np.fmin.reduce, traded_price, rows=rows, window=SESSIONS_PER_YEAR, cut=True)
    present_returns = _windowed(_present, returns, rows=rows, window=SHORT_WINDOW, cut=True)
    return SymbolMetrics(
        return_1d=returns[rows],
        return_mtd=return_mtd,
        return_ytd=return_ytd,
        return_1m=return_1m,
        return_3m=return_3m,
        return_1y=return_1y,
        volatility_21d=_windowed(_volatility, returns, rows=rows, window=SHORT_WINDOW),
        volatility_63d=_windowed(_volatility, returns, rows=rows, window=LONG_WINDOW),
        high_52w=np.where(no_close, np.nan, high),
        low_52w=np.where(no_close, np.nan, low),
        dollar_volume_21d=_windowed(_mean, traded_price * volume, rows=rows, window=SHORT_WINDOW),
        missing_returns_21d=SHORT_WINDOW - present_returns.astype(np.int64),
    )


def data_quality_score(
    *, priced: BoolArray, missing_returns_21d: IntArray, has_all_betas: BoolArray, has_fresh_profile: BoolArray
) -> IntArray:
    """Score from 0 to 100 of each symbol and session; the four arrays have one shape, and so has the result.

    40 for a price at the session, 20 for no missing return in 21 sessions, 20 for all twelve betas, 20 for a profile
    younger than 7 days.
    """
    score: IntArray = 40 * priced + 20 * (missing_returns_21d == 0) + 20 * has_all_betas + 20 * has_fresh_profile
    return score


def _returns_since(prices: FloatArray, *, rows: IntArray, bases: IntArray) -> FloatArray:
    base_prices = np.where(bases[:, None] >= 0, prices[np.maximum(bases, 0)], np.nan)
    growth: FloatArray = prices[rows] / base_prices - 1.0
    return growth


def _windowed(
    statistic: Callable[[FloatArray], FloatArray], values: FloatArray, *, rows: IntArray, window: int, cut: bool = False
) -> FloatArray:
    """``statistic`` over the window that ends at each row, (rows, symbols).

    A window that reaches before the first session gives NaN, or with ``cut`` the statistic of what is there.
    """
    result = np.full((len(rows), values.shape[1]), np.nan)
    for position, row in enumerate(rows):
        start = row + 1 - window
        if cut or start >= 0:
            result[position] = statistic(values[max(0, start) : row + 1])
    return result


def _volatility(returns: FloatArray) -> FloatArray:
    volatility: FloatArray = returns.std(axis=0, ddof=1) * np.sqrt(SESSIONS_PER_YEAR)
    return volatility


def _mean(values: FloatArray) -> FloatArray:
    mean: FloatArray = values.mean(axis=0)
    return mean


def _present(values: FloatArray) -> FloatArray:
    count: FloatArray = np.isfinite(values).sum(axis=0, dtype=np.float64)
    return count
