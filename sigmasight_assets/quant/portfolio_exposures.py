"""Factor exposures of portfolios from signed market values and the betas of their symbols.

Source: formulas.md section 6. Dollars are binary floats here: exposures are ratios and estimates, not money owed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from sigmasight_assets.quant.arrays import FloatArray, IntArray
from sigmasight_assets.quant.money import MONEY_DIGITS
from sigmasight_assets.quant.segments import Segments


@dataclass(frozen=True, eq=False)
class SymbolPositions:
    """One row per portfolio and symbol (N,), ascending by both; ``market_value`` is signed, in dollars."""

    portfolio: IntArray
    symbol: IntArray
    market_value: FloatArray


@dataclass(frozen=True, eq=False)
class PortfolioExposures:
    """Exposures of portfolios (P, K); NaN is a missing number.

    ``exposures``
        sum of signed market value / equity x beta; NaN where the equity is not positive or not known
    ``dollars``
        sum of signed market value x beta, which is exposure x equity, whatever the equity
    ``per_invested``
        dollars / sum of |market value| over the positions that have the beta
    ``factor_coverage``
        share of sum |market value| that has the beta
    ``coverage`` (P,)
        share of sum |market value| that has all K betas

    A portfolio without market value has exposure 0 and no coverage; one that has market value but no beta of a
    factor has no number for that factor, rather than a 0 that would look like an answer.
    """

    exposures: FloatArray
    dollars: FloatArray
    per_invested: FloatArray
    factor_coverage: FloatArray
    coverage: FloatArray


def symbol_positions(portfolio: IntArray, symbol: IntArray, value: IntArray) -> SymbolPositions:
    """Sum the lots (L,) of each portfolio and symbol, exactly, and return them in dollars.

    ``value`` is signed money in units of 1e-8; the order of the lots does not matter. A long and a short lot that
    cancel leave a position of 0.
    """
    if not portfolio.size:
        return SymbolPositions(portfolio, symbol, np.zeros(0))
    key = portfolio * (int(symbol.max()) + 1) + symbol
    # Stable sorting of what is nearly in order, as lots read by portfolio are, takes little more than one pass.
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    totals = np.add.reduceat(value[order], first)
    rows = order[first]
    return SymbolPositions(portfolio[rows], symbol[rows], totals / 10.0**MONEY_DIGITS)


def portfolio_exposures(positions: SymbolPositions, betas: FloatArray, *, equity: FloatArray) -> PortfolioExposures:
    """Exposures of P portfolios to K factors.

    ``positions`` (N,) index the rows of ``betas`` (S, K), one row per symbol with NaN where a beta is missing, and of
    ``equity`` (P,), which is in the same dollars as the market values and NaN where there is no snapshot; market
    values are finite. Raises ``ValueError`` when the positions are not ascending by portfolio or point outside
    ``equity``.
    """
    market_value, symbol = positions.market_value, positions.symbol
    if equity.size == 1 or symbol.size < len(betas):
        # A few positions in a large market: read their rows only.
        betas, symbol = betas[symbol], np.arange(symbol.size)
    rows_of = _by_portfolio(positions.portfolio, symbol, portfolios=equity.size, symbols=len(betas))
    known = np.isfinite(betas)
    # One product for all sums of |market value|: with each beta, with all of them, and of everything.
    flags = np.ones((len(betas), betas.shape[1] + 2))
    flags[:, :-2], flags[:, -2] = known, known.all(axis=1)
    sums = rows_of(np.abs(market_value)) @ flags
    with_beta, complete, invested = sums[:, :-2], sums[:, -2], sums[:, -1]

    dollars = rows_of(market_value) @ np.where(known, betas, 0.0)
    dollars[(with_beta == 0) & (invested[:, None] > 0)] = np.nan
    return PortfolioExposures(
        exposures=_ratio(dollars, equity[:, None]),
        dollars=dollars,
        per_invested=_ratio(dollars, with_beta),
        factor_coverage=_ratio(with_beta, invested[:, None]),
        coverage=_ratio(complete, invested),
    )


def _by_portfolio(
    portfolio: IntArray, symbol: IntArray, *, portfolios: int, symbols: int
) -> Callable[[FloatArray], csr_array | FloatArray]:
    """Makes of the positions' weights (N,) a matrix (P, S) with each in the row of its portfolio; sparse unless P is 1.

    Raises ``ValueError`` when the positions are not ascending by portfolio or not within P.
    """
    if portfolios == 1 and not portfolio.any():
        # One portfolio is asked for by a waiting owner: grouping its rows would take longer than all the rest.
        return lambda weights: weights[np.newaxis]
    segments = Segments.of(portfolio, portfolios)
    return lambda weights: csr_array((weights, symbol, segments.bounds), shape=(portfolios, symbols))


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient, NaN where the denominator is not positive."""
    quotient: FloatArray = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
