"""The price in force at a session: its own close, or the last one that is not too old.

Source: formulas.md section 5.
"""

import numpy as np
from numpy.typing import NDArray

from sigmasight_assets.quant.arrays import IntArray

# A close may stand in for missing ones for this many sessions after its own.
CARRIED_SESSIONS = 5
NO_PRICE = -1


def carried_prices(closes: IntArray, rows: IntArray) -> tuple[IntArray, NDArray[np.int8]]:
    """Return the price in force (T, S) and its age (T, S) at the sessions in ``rows`` of ``closes``.

    ``closes`` (N, S) holds consecutive sessions in ascending order, in units of 1e-4; 0 or less is missing. It
    should start five sessions before the first of ``rows`` (T,): what lies before it cannot be carried. The age
    counts sessions: 0 the session's own close, 1 to 5 a carried one, -1 none, and then the price is 0.
    Raises ``IndexError`` for a row outside ``closes``.
    """
    if rows.size and (rows.min() < 0 or rows.max() >= closes.shape[0]):
        raise IndexError(f"the rows must lie within 0 to {closes.shape[0] - 1}")
    prices = np.zeros((rows.size, closes.shape[1]), dtype=np.int64)
    ages = np.full(prices.shape, NO_PRICE, dtype=np.int8)
    for age in range(CARRIED_SESSIONS + 1):
        reached = rows >= age
        candidate = np.zeros_like(prices)
        candidate[reached] = closes[rows[reached] - age]
        found = (ages == NO_PRICE) & (candidate > 0)
        prices[found] = candidate[found]
        ages[found] = age
    return prices, ages
