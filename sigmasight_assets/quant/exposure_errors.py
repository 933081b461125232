"""Standard errors of a portfolio's exposures to the six factors that are estimated by least squares.

The exposures themselves are in ``portfolio_exposures``. Formula and reasons: docs/formulas/portfolio-exposures.md.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS
from sigmasight_assets.quant.gram import Regression, centred_moments, symbol_block
from sigmasight_assets.quant.ols import ols_estimates
from sigmasight_assets.quant.regression import LONGEST_WINDOW, SINGLE, SPREADS, regression_on

# The factors whose slopes have standard errors, and where they are among all.
OLS_FACTORS = (*SINGLE, *SPREADS)
OLS_COLUMNS = tuple(FACTORS.index(factor) for factor in OLS_FACTORS)
# The line itself takes two: with fewer returns no residual is left.
MIN_RETURNS = 3
# Symbols fitted at a time, which bounds the memory.
BLOCK_SYMBOLS = 1024


@dataclass(frozen=True, eq=False)
class SlopeErrors:
    """What errors of the slopes of S symbols are made of, prepared once for many portfolios; F = 6 factors.

    ``returns`` (S, T)
        the last 180 daily returns at most, NaN where one is missing
    ``has_gaps`` (S,)
        whether one is
    ``regressors``, ``used`` (F, T)
        the factors' returns, 0 where one is missing or before the factor's window, and 1 or 0: whether there is one
    ``lines`` (S, 3 F)
        k, k x intercept and k x slope of each symbol's line with each factor, k being the published standard error of
        the slope over the length of the residuals; 0 where that error is 0 or there is no beta, NaN where there is a
        beta and its error or its residuals are not known
    """

    returns: FloatArray
    has_gaps: BoolArray
    regressors: FloatArray
    used: FloatArray
    lines: FloatArray

    @classmethod
    def of(cls, returns: FloatArray, factor_returns: FloatArray, *, betas: FloatArray, std_errors: FloatArray) -> Self:
        """From the newest daily returns of S symbols and what is published of them, all dimensionless.

        ``returns`` (sessions, S) and ``factor_returns`` (sessions, 8), in the order of ``FACTOR_ETFS``, are not finite
        where one is missing; ``betas`` and ``std_errors`` (S, 12) are NaN where there is none.
        """
        if len(returns) == 0:
            returns = np.full((1, returns.shape[1]), np.nan)
            factor_returns = np.full((1, len(FACTOR_ETFS)), np.nan)
        newest, funds = returns[-LONGEST_WINDOW:], factor_returns[-LONGEST_WINDOW:]
        regressions = [
            replace(regression_on(funds, [(factor,) for factor in factors]), min_observations=MIN_RETURNS)
            for factors in (SINGLE, SPREADS)
        ]
        has_gaps: BoolArray = np.any(~np.isfinite(newest), axis=0)
        used = np.concatenate([_used(regression) for regression in regressions])
        values = np.concatenate([regression.values[0] for regression in regressions])
        return cls(
            returns=newest.T,
            has_gaps=has_gaps,
            regressors=values * used,
            used=used,
            lines=_scaled_lines(regressions, newest, np.where(np.isfinite(betas), std_errors, 0.0)[:, OLS_COLUMNS]),
        )


def book_std_errors(rows: IntArray, market_value: FloatArray, errors: SlopeErrors, *, equity: float) -> FloatArray:
    """Standard errors (F,) of the exposures of one portfolio to ``OLS_FACTORS``, dimensionless.

    The portfolio holds the symbols of these rows (N,) with the signed, finite ``market_value`` (N,), in the dollars of
    the equity; an exposure contains the positions with a beta. Of these, with w = market value / equity, se the
    published standard error of the slope, and e_t the residuals of the symbol's line (0 on a day on which it or the
    factor has no return),

        std_err^2 = sum over days t of (sum over positions of w x se x e_t / sqrt(sum of e_t^2))^2

    so that the errors of two slopes are as correlated as their residuals. Of positions with returns on the same days
    it is the standard error of the slope of their weighted returns, of one position |w| x se. NaN without a positive
    equity, and where the error of a contained slope is not published or there are no residuals to place it by: fewer
    than 3 returns, or none that differs from the line. No positions have no error: 0.
    """
    size = len(OLS_FACTORS)
    if not equity > 0:
        return np.full(size, np.nan)
    lines = errors.lines[rows] * market_value[:, np.newaxis]
    returns = errors.returns[rows]
    # The book's lines added up, the same on all days but for the few symbols that lack one.
    levels = np.add.reduce(lines[:, size:])[:, np.newaxis]
    with_gaps = np.flatnonzero(errors.has_gaps[rows])
    if with_gaps.size:
        some = returns[with_gaps]
        gaps = ~np.isfinite(some)
        some[gaps] = 0.0
        returns[with_gaps] = some
        levels = levels - lines[with_gaps, size:].T @ gaps
    residuals = lines[:, :size].T @ returns
    residuals -= levels[:size]
    residuals -= levels[size:] * errors.regressors
    residuals *= errors.used
    found: FloatArray = np.sqrt(np.vecdot(residuals, residuals)) / equity
    return found


def _used(regression: Regression) -> FloatArray:
    """1 on the days of the window (groups, sessions) on which the regressor has a return, 0 on others."""
    used = regression.present.astype(np.float64)
    used[:, : -regression.window] = 0.0
    return used


def _scaled_lines(regressions: list[Regression], returns: FloatArray, std_errors: FloatArray) -> FloatArray:
    """``SlopeErrors.lines`` from the published errors (S, F), 0 where there is nothing to place."""
    columns = returns.shape[1]
    lines = np.zeros((columns, 3, len(OLS_FACTORS)))
    for first in range(0, columns, BLOCK_SYMBOLS):
        part = slice(first, first + BLOCK_SYMBOLS)
        lengths, intercepts, slopes = _fitted(regressions, returns[:, part])
        scale = np.divide(std_errors[part], lengths, out=np.full(lengths.shape, np.nan), where=lengths > 0)
        placed = np.stack([scale, scale * intercepts, scale * slopes], axis=1)
        np.copyto(lines[part], placed, where=std_errors[part][:, np.newaxis] != 0.0)
    return lines.reshape(columns, 3 * len(OLS_FACTORS))


def _fitted(regressions: list[Regression], returns: FloatArray) -> FloatArray:
    """Length of the residuals, intercept and slope of each symbol's line with each factor at the last session.

    (3, S, F), NaN where there is no line.
    """
    sessions, columns = returns.shape
    newest, symbols = np.array([sessions - 1]), symbol_block(returns, start=0, end=sessions)
    found = []
    for regression in regressions:
        moments = centred_moments(regression, symbols, rows=newest)
        fits = ols_estimates(
            regression,
            symbols,
            moments,
            rows=newest,
            priced=np.ones((1, columns), dtype=np.bool_),
            itself=np.zeros((regression.groups, columns), dtype=np.bool_),
        )
        for n, sxx, fit in zip(moments.n, moments.sxx[0], fits, strict=True):
            lengths = fit.std_err[0] * np.sqrt(np.maximum(n[0] - 2.0, 0.0) * sxx[0])
            found.append((lengths, fit.alpha[0], fit.raw_beta[0]))
    return np.array(found).transpose(1, 2, 0)
