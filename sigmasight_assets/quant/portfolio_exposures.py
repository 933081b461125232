"""Factor exposures of portfolios from signed market values and the betas of their symbols.

Source: formulas.md section 6. Dollars are binary floats here: exposures are ratios and estimates, not money owed.
"""

from dataclasses import dataclass
from typing import Self

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


@dataclass(frozen=True, eq=False)
class BetaTable:
    """Betas of S symbols to K factors as exposures need them, so that they are prepared once for many portfolios.

    ``betas`` (S, K) are 0 where one is missing. ``flags`` (S, K + 2) are 1 or 0: whether there is each beta, whether
    there are all, and 1.
    """

    betas: FloatArray
    flags: FloatArray

    @classmethod
    def of(cls, betas: FloatArray) -> Self:
        """From betas (S, K) that are NaN where one is missing."""
        known = np.isfinite(betas)
        flags = np.ones((len(betas), betas.shape[1] + 2))
        flags[:, :-2], flags[:, -2] = known, known.all(axis=1)
        return cls(np.where(known, betas, 0.0), flags)


def book_exposures(rows: IntArray, market_value: FloatArray, table: BetaTable, *, equity: float) -> PortfolioExposures:
    """Exposures of one portfolio, (1, K), which holds the symbols of these rows (N,) of the table.

    ``market_value`` (N,) is signed and finite, in the dollars of the equity, which is NaN where there is no snapshot.
    """
    return _exposures(
        market_value[np.newaxis] @ table.betas[rows],
        np.abs(market_value)[np.newaxis] @ table.flags[rows],
        equity=np.array([equity]),
    )


def portfolio_exposures(positions: SymbolPositions, betas: FloatArray, *, equity: FloatArray) -> PortfolioExposures:
    """Exposures of P portfolios to K factors.

    ``positions`` (N,) index the rows of ``betas`` (S, K), one row per symbol with NaN where a beta is missing, and of
    ``equity`` (P,), which is in the same dollars as the market values and NaN where there is no snapshot; market
    values are finite. Raises ``ValueError`` when the positions are not ascending by portfolio or point outside
    ``equity``.
    """
    market_value, symbol = positions.market_value, positions.symbol
    if symbol.size < len(betas):
        # A few positions in a large market: read their rows only.
        betas, symbol = betas[symbol], np.arange(symbol.size)
    segments, table = Segments.of(positions.portfolio, equity.size), BetaTable.of(betas)

    def rows_of(weights: FloatArray) -> csr_array:
        return csr_array((weights, symbol, segments.bounds), shape=(equity.size, len(betas)))

    return _exposures(rows_of(market_value) @ table.betas, rows_of(np.abs(market_value)) @ table.flags, equity=equity)


def _exposures(dollars: FloatArray, sums: FloatArray, *, equity: FloatArray) -> PortfolioExposures:
    """From the sums of market value x beta (P, K) and of |market value| x flags (P, K + 2)."""
    with_beta, complete, invested = sums[:, :-2], sums[:, -2], sums[:, -1]
    dollars[(with_beta == 0) & (invested[:, None] > 0)] = np.nan
    return PortfolioExposures(
        exposures=_ratio(dollars, equity[:, None]),
        dollars=dollars,
        per_invested=_ratio(dollars, with_beta),
        factor_coverage=_ratio(with_beta, invested[:, None]),
        coverage=_ratio(complete, invested),
    )


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient, NaN where the denominator is not positive."""
    quotient: FloatArray = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
