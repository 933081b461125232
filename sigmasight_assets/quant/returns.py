"""Daily returns of prices. Source: formulas.md section 2."""

import numpy as np

from sigmasight_assets.quant.arrays import FloatArray


def present_prices(prices: FloatArray) -> FloatArray:
    """The prices with NaN where one is missing, infinite, zero or negative; same shape."""
    return np.where(np.isfinite(prices) & (prices > 0.0), prices, np.nan)


def simple_returns(prices: FloatArray) -> FloatArray:
    """Simple returns P_t / P_(t-1) - 1 over consecutive sessions, dimensionless.

    ``prices`` is (sessions, symbols) and so is the result; its first row is NaN. A price that is missing or not
    positive makes both returns that touch it NaN: nothing is filled and no gap is bridged.
    """
    known = present_prices(prices)
    returns = np.full(known.shape, np.nan)
    np.divide(known[1:], known[:-1], out=returns[1:])
    returns[1:] -= 1.0
    return returns
