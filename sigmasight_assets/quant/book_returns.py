"""The daily returns that a book as it is now would have had. Source: formulas.md section 8."""

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, FloatArray

# A symbol with fewer returns than this is left out of the series.
MIN_RETURNS = 63
# A day is dropped when more than this share of the book lacks a return.
MAX_MISSING_SHARE = 0.05
# Shares are compared beyond the rounding of their sums: exactly 5 % is not more than 5 %.
ROUNDING = 1e-12


def has_enough_returns(returns: FloatArray) -> BoolArray:
    """Which symbols (N,) of ``returns`` (sessions, N), NaN where missing, have at least 63 of them."""
    enough: BoolArray = np.isfinite(returns).sum(axis=0) >= MIN_RETURNS
    return enough


def book_returns(returns: FloatArray, weights: FloatArray) -> FloatArray:
    """Sum of weight x return at each session (T,), in the unit of the weights; NaN where a day is dropped.

    ``returns`` is (T, N) with NaN where missing; ``weights`` (N,) are signed and finite: market value / equity gives
    returns, market value alone gives dollars. A day on which positions with more than 5 % of the sum of |weight| lack
    a return is dropped; on other days the weights that have one are scaled up to that sum. Without any weight there
    are no returns.
    """
    absolute = np.abs(weights)
    gross = float(absolute.sum())
    known = np.isfinite(returns)
    missing = ~known @ absolute
    kept = missing <= gross * (MAX_MISSING_SHARE + ROUNDING)
    series = np.full(len(returns), np.nan)
    if gross > 0:
        sums = np.where(known, returns, 0.0) @ weights
        series[kept] = sums[kept] * (gross / (gross - missing[kept]))
    return series
