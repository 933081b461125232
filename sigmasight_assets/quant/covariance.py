"""Covariance of the factor funds' returns, with more weight on recent sessions.

Source: formulas.md section 7. Scenarios and their propagation are not here.
"""

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray

WINDOW = 252
MIN_ROWS = 60
DECAY = 0.97


def factor_covariances(factor_returns: FloatArray, *, rows: IntArray) -> tuple[FloatArray, IntArray]:
    """Covariance matrices of daily returns at each session of ``rows`` and the joint rows that each rests on.

    ``factor_returns`` is (sessions, funds), not finite where missing. Over the last 252 sessions, the rows where every
    fund has a return get weights 0.97^(age in sessions) that sum to one; the weighted mean is removed and there is no
    correction for degrees of freedom. Returns (rows, funds, funds) in daily return squared, all NaN below 60 joint
    rows, and (rows,) counts. A window that reaches before the first session is cut there.
    """
    index = rows[:, None] - np.arange(WINDOW)
    inside = np.maximum(index, 0)
    joint: BoolArray = np.all(np.isfinite(factor_returns), axis=1)
    used = joint[inside] & (index >= 0)
    counts: IntArray = used.sum(axis=1)
    weights = np.where(used, DECAY ** np.arange(WINDOW), 0.0)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    x = np.where(joint[:, None], factor_returns, 0.0)[inside]
    x -= (weights[:, :, None] * x).sum(axis=1, keepdims=True)
    x *= np.sqrt(weights)[:, :, None]
    covariances = x.transpose(0, 2, 1) @ x
    covariances = (covariances + covariances.transpose(0, 2, 1)) / 2.0
    covariances[counts < MIN_ROWS] = np.nan
    return covariances, counts
