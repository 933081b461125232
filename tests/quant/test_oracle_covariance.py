"""The factor covariance against the exponentially weighted moments of pandas."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.covariance import factor_covariances
from tests.quant.reference import random_market, real_market


def pandas_covariance(factor_returns: FloatArray, row: int) -> FloatArray:
    """Moments of the joint rows of the window; pandas weighs by age in rows, missing ones included."""
    window = pd.DataFrame(factor_returns[max(0, row - 251) : row + 1])
    window[window.isna().any(axis=1)] = np.nan
    moments = window.ewm(alpha=0.03, adjust=True, ignore_na=False).cov(bias=True)
    matrix: FloatArray = moments.loc[window.index[-1]].to_numpy()
    return matrix


@pytest.mark.parametrize("gaps", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("row", [75, 250, 251, 319])
def test_equal_to_pandas(gaps: float, row: int) -> None:
    funds = random_market(seed=30, sessions=320).factor_returns
    random = np.random.default_rng(31)
    funds[:-1][random.random((319, 8)) < gaps] = np.nan
    # Pandas says nothing of a last row that is not joint, and the session itself is never without its funds.
    funds[row] = random.normal(0.0, 0.01, 8)
    covariances, counts = factor_covariances(funds, rows=np.array([row]))
    joint = np.isfinite(funds[max(0, row - 251) : row + 1]).all(axis=1).sum()
    assert counts[0] == joint
    if joint < 60:
        assert np.isnan(covariances).all()
    else:
        assert_allclose(covariances[0], pandas_covariance(funds, row), rtol=1e-10, atol=1e-18)


def test_equal_to_pandas_on_real_returns() -> None:
    market, sessions = real_market()
    for day in ("2022-06-16", "2025-04-09"):
        row = sessions.index(day)
        covariances, _ = factor_covariances(market.factor_returns, rows=np.array([row]))
        assert_allclose(covariances[0], pandas_covariance(market.factor_returns, row), rtol=1e-10)
