"""Which estimates have a value, how much they rest on, and the bound on published betas: the same for all estimators.

Source: formulas.md section 3.
"""

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, CodeArray, FloatArray
from sigmasight_assets.quant.factors import BETA_CAP, Quality, Reason
from sigmasight_assets.quant.gram import Regression


def missing_reasons(regression: Regression, n: FloatArray, *, priced: BoolArray, constant: BoolArray) -> CodeArray:
    """``Reason`` of every pair (groups, rows, symbols): the first that applies, ``NONE`` where there is a value.

    ``n`` is the number of rows used, ``priced`` (rows, symbols) whether the session has a valid bar, ``constant``
    whether a regressor or the symbol's return does not vary.
    """
    reason = np.where(constant, np.int8(Reason.CONSTANT), np.int8(Reason.NONE))
    reason = np.where(n < regression.min_observations, np.int8(Reason.SHORT_HISTORY), reason)
    return np.where(priced, reason, np.int8(Reason.NO_PRICE))


def qualities(regression: Regression, n: FloatArray, *, known: BoolArray) -> CodeArray:
    """``Quality`` of every pair from its number of rows, ``NONE`` where it has no value."""
    quality = np.where(n >= regression.full_observations, np.int8(Quality.FULL), np.int8(Quality.LIMITED))
    return np.where(known, quality, np.int8(Quality.NONE))


def capped(raw_beta: FloatArray) -> tuple[FloatArray, BoolArray]:
    """The betas bounded to the cap with their sign, and where the bound applied; NaN stays NaN, uncapped."""
    return np.clip(raw_beta, -BETA_CAP, BETA_CAP), np.abs(raw_beta) > BETA_CAP
