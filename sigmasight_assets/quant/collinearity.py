"""How far the regressors of a joint regression repeat each other: condition number and variance inflation.

Source: D. A. Belsley, E. Kuh and R. E. Welsch, *Regression Diagnostics*, Wiley 1980, chapter 3.
"""

from dataclasses import dataclass
from enum import StrEnum, auto

import numpy as np

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.factors import FACTORS
from sigmasight_assets.quant.gram import is_constant

RIDGE_FACTORS = tuple(factor for factor in FACTORS if factor.estimator == "ridge")
WINDOW = RIDGE_FACTORS[0].window
MIN_ROWS = RIDGE_FACTORS[0].min_observations


class CollinearityReason(StrEnum):
    """Why there are no numbers, in the word that is shown; ``NONE`` where there are."""

    NONE = auto()
    SHORT_HISTORY = auto()
    CONSTANT = auto()
    COLLINEAR = auto()


@dataclass(frozen=True, eq=False)
class Collinearity:
    """Of K standardised regressors: largest over smallest singular value, inflation factors (K,), and rows used.

    The numbers are NaN where there is a reason.
    """

    condition_number: float
    inflation: FloatArray
    n_obs: int
    reason: CollinearityReason


def collinearity(regressors: FloatArray) -> Collinearity:
    """Of regressors (rows, K), not finite where missing; rows where one is missing are left out.

    With Z the regressors less their means over their population standard deviations, the condition number is that of
    Z, the square root of that of their correlation matrix R, and the inflation factors are the diagonal of R^-1:
    1 / (1 - R2) of each regressor on the others.
    """
    used = regressors[np.isfinite(regressors).all(axis=1)]
    n, size = used.shape
    if n < MIN_ROWS:
        return _unknown(n, size, CollinearityReason.SHORT_HISTORY)
    means = used.mean(axis=0)
    centred = used - means
    squares = (centred**2).sum(axis=0)
    if is_constant(squares, means, np.full(size, float(n))).any():
        return _unknown(n, size, CollinearityReason.CONSTANT)
    # Not by way of the correlation matrix, which has the square of the condition.
    _, singular, directions = np.linalg.svd(centred / np.sqrt(squares), full_matrices=False)
    if singular[-1] <= n * np.finfo(np.float64).eps * singular[0]:
        return _unknown(n, size, CollinearityReason.COLLINEAR)
    inflation: FloatArray = ((directions / singular[:, None]) ** 2).sum(axis=0)
    return Collinearity(float(singular[0] / singular[-1]), inflation, n, CollinearityReason.NONE)


def _unknown(n: int, size: int, reason: CollinearityReason) -> Collinearity:
    return Collinearity(float("nan"), np.full(size, np.nan), n, reason)
