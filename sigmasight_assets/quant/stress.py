"""What shocks of the market, of yields and of styles do to symbols and to books of them.

Source: formulas.md section 7. The covariance of the funds is in ``covariance``; which scenarios exist is not here.

Everything is in the order of the eight factors that one fund each stands for (``SHOCK_FACTORS``, ``FACTOR_ETFS``):
market, rates, six styles.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS

SHOCK_FACTORS = FACTORS[: len(FACTOR_ETFS)]
MARKET, RATES = 0, 1
STYLES = slice(2, len(FACTOR_ETFS))

# What is left of the covariance of two styles: near-collinear funds would otherwise move each other without bound.
KEPT_COVARIANCE = 0.7
# Nothing can lose more than all of its value.
WORST = -1.0
# A fund with less of its variance beside the market than this is the market, and no style.
LEAST_OWN_VARIANCE = 1e-10


@dataclass(frozen=True, slots=True)
class RateModel:
    """How the fund of the rates factor answers to a change of yields: duration in years, convexity in years squared."""

    duration: float = 16.5
    convexity: float = 370.0

    def fund_return(self, change: float) -> float:
        """Return of the fund when yields move by ``change`` (0.01 is 100 basis points)."""
        return -self.duration * change + 0.5 * self.convexity * change * change


@dataclass(frozen=True, eq=False)
class Shocks:
    """Moves of N scenarios, all (N, 8), as returns; 0 where a factor does not move, NaN where a move is not known.

    ``direct``
        what is given, rates less the part that the market's shock already brings
    ``correlated``
        the same, and the styles that are not given as they are expected to move with those that are
    ``is_given``
        which factors are shocked
    """

    direct: FloatArray
    correlated: FloatArray
    is_given: BoolArray


def market_betas(covariance: FloatArray | None) -> FloatArray:
    """Slope (8,) of each fund on the market fund, from their covariance (8, 8); NaN without one."""
    if covariance is None or not covariance[MARKET, MARKET] > 0:
        return np.full(len(FACTOR_ETFS), np.nan)
    betas: FloatArray = covariance[MARKET] / covariance[MARKET, MARKET]
    return betas


def style_covariance(covariance: FloatArray | None) -> FloatArray:
    """Covariance (6, 6) of the styles' returns less their market parts, its off-diagonals damped.

    NaN without a covariance (8, 8), and when one of the funds only follows the market.
    """
    size = STYLES.stop - STYLES.start
    betas = market_betas(covariance)
    if covariance is None or np.isnan(betas).any():
        return np.full((size, size), np.nan)
    own = (covariance - np.outer(betas, covariance[MARKET]))[STYLES, STYLES]
    variances = np.diag(own)
    if not (variances > LEAST_OWN_VARIANCE * np.diag(covariance)[STYLES]).all():
        return np.full((size, size), np.nan)
    damped: FloatArray = KEPT_COVARIANCE * own + (1.0 - KEPT_COVARIANCE) * np.diag(variances)
    return damped


def shocks(given: FloatArray, covariance: FloatArray | None) -> Shocks:
    """The moves of scenarios that are given as returns (N, 8), NaN where a factor is not shocked.

    The return of the market and of the rates' fund are whole returns, those of the styles are beside the market. A
    style that is given with 0 is held there. Without a covariance (8, 8) only moves that need none are known.
    """
    is_given = np.isfinite(given)
    direct = np.where(is_given, given, 0.0)
    both = is_given[:, MARKET] & is_given[:, RATES]
    direct[both, RATES] -= market_betas(covariance)[RATES] * direct[both, MARKET]
    own = style_covariance(covariance)
    correlated = direct.copy()
    for moves, fixed in zip(correlated[:, STYLES], is_given[:, STYLES], strict=True):
        if fixed.any() and not fixed.all():
            moves[~fixed] = _expected(own, fixed, moves[fixed])
    return Shocks(direct, correlated, is_given)


def _expected(own: FloatArray, fixed: BoolArray, moves: FloatArray) -> FloatArray:
    """Expectation of the other styles given the moves of the fixed ones; NaN when the covariance is not known."""
    if np.isnan(own).any():
        return np.full(int((~fixed).sum()), np.nan)
    expected: FloatArray = own[np.ix_(~fixed, fixed)] @ np.linalg.solve(own[np.ix_(fixed, fixed)], moves)
    return expected


def sensitivities(betas: FloatArray, market_fund: int | None) -> FloatArray:
    """What a return of 1 of each factor does to each symbol, (S, 8), dimensionless.

    ``betas`` is (S, 8 or more), published ones, NaN where missing; ``market_fund`` is the row of SPY, None when there
    is none. The style betas of a symbol lose what its market beta already brings, so that SPY has none. A symbol that
    lacks one of the eight has only NaN, and so has every symbol when SPY lacks one.
    """
    found = betas[:, : len(FACTOR_ETFS)].copy()
    market = np.full(len(FACTOR_ETFS), np.nan) if market_fund is None else found[market_fund].copy()
    found[:, STYLES] -= found[:, [MARKET]] * market[STYLES]
    found[np.isnan(found).any(axis=1)] = np.nan
    return found


@dataclass(frozen=True, eq=False)
class StressTable:
    """What N scenarios do to S symbols, made once and read by every request; its arrays cannot be written.

    ``sensitivities`` (S, 8)
        as the function gives them
    ``direct``, ``correlated`` (S, N)
        returns, not below -1; NaN for a symbol without sensitivities and for a scenario that is not known
    ``is_floored`` (S, N)
        where the correlated return would be below -1
    """

    sensitivities: FloatArray
    shocks: Shocks
    direct: FloatArray
    correlated: FloatArray
    is_floored: BoolArray

    def __post_init__(self) -> None:
        moves = self.shocks.direct, self.shocks.correlated, self.shocks.is_given
        for array in (self.sensitivities, self.direct, self.correlated, self.is_floored, *moves):
            array.setflags(write=False)

    @classmethod
    def of(cls, sensitivities: FloatArray, moves: Shocks) -> Self:
        """The table of symbols by their sensitivities (S, 8)."""
        correlated = sensitivities @ moves.correlated.T
        is_floored = correlated < WORST
        return cls(
            sensitivities=sensitivities,
            shocks=moves,
            direct=np.maximum(sensitivities @ moves.direct.T, WORST),
            correlated=np.maximum(correlated, WORST, out=correlated),
            is_floored=is_floored,
        )

    def knows(self, rows: IntArray) -> BoolArray:
        """Which of the symbols in these rows (n,) have sensitivities."""
        known: BoolArray = ~np.isnan(self.sensitivities[rows, MARKET])
        return known


@dataclass(frozen=True, eq=False)
class BookStress:
    """What N scenarios do to a book of n symbols, in the money of its values.

    ``direct``, ``correlated`` (N,)
        sum of market value x return
    ``effects`` (N, 8)
        sum of market value x sensitivity x correlated move
    ``floored`` (N,)
        what the effects lack to the correlated sum, because no symbol falls below zero
    ``is_floored`` (n, N)
        of which symbols
    """

    direct: FloatArray
    correlated: FloatArray
    effects: FloatArray
    floored: FloatArray
    is_floored: BoolArray


def book_stress(table: StressTable, rows: IntArray, market_value: FloatArray) -> BookStress:
    """Of signed market values (n,) in the rows (n,) of the table, all of which have sensitivities."""
    correlated = market_value @ table.correlated[rows]
    effects = (market_value @ table.sensitivities[rows]) * table.shocks.correlated
    is_floored = table.is_floored[rows]
    return BookStress(
        direct=market_value @ table.direct[rows],
        correlated=correlated,
        effects=effects,
        # Rounding of sums is not a floor.
        floored=np.where(is_floored.any(axis=0), correlated - effects.sum(axis=1), 0.0),
        is_floored=is_floored,
    )
