"""Historical value at risk and expected shortfall of a series of daily returns. Source: formulas.md section 8."""

from dataclasses import dataclass

import numpy as np

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.metrics import SESSIONS_PER_YEAR

# With fewer, the 1 % tail would hold less than one return.
MIN_OBSERVATIONS = 100


@dataclass(frozen=True, slots=True)
class TailRisk:
    """Losses of one session, positive, in the unit of the series; negative where even the tail is a gain."""

    value_at_risk: float
    expected_shortfall: float


def last_year(returns: FloatArray) -> FloatArray:
    """The last 252 of a series (T,), or as many as there are."""
    return returns[-SESSIONS_PER_YEAR:]


def tail_risk(returns: FloatArray, *, tail: float) -> TailRisk:
    """Loss that the share ``tail`` of the sessions exceeds, and the mean loss of those, from a series (T,) without NaN.

    Value at risk is minus the ``tail`` quantile, interpolated linearly between returns; expected shortfall is minus
    the mean of the returns at or below it. Source: P. Jorion, Value at Risk, 3rd edition, McGraw-Hill 2006, chapter 10.
    Raises ``ValueError`` below 100 returns.
    """
    if len(returns) < MIN_OBSERVATIONS:
        raise ValueError(f"{len(returns)} returns are too few for a tail: it needs {MIN_OBSERVATIONS}")
    quantile = np.quantile(returns, tail)
    return TailRisk(value_at_risk=-float(quantile), expected_shortfall=-float(returns[returns <= quantile].mean()))
