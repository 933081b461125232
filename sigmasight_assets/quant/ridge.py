"""Ridge regression on jointly standardised regressors, from centred moments.

Equal to a standard scaler followed by a ridge with unpenalised intercept. Source: formulas.md section 3. The sums are
made in ``gram``.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, CodeArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import RIDGE_PENALTY, Reason
from sigmasight_assets.quant.gram import Moments, Regression, is_constant
from sigmasight_assets.quant.publishable import capped, missing_reasons, qualities


@dataclass(frozen=True)
class RidgeEstimates:
    """Estimates of the joint regression; betas are (sessions, symbols, regressors), the rest (sessions, symbols).

    ``beta`` is ``raw_beta`` bounded to +-5, with ``is_capped`` where the bound applied. ``r_squared`` is that of the
    joint fit in its own rows. ``n_obs`` counts the rows used, also where there is no value: there the numbers are
    NaN, ``quality`` is ``NONE`` and ``reason`` tells why.
    """

    beta: FloatArray
    raw_beta: FloatArray
    is_capped: BoolArray
    r_squared: FloatArray
    n_obs: IntArray
    quality: CodeArray
    reason: CodeArray

    @classmethod
    def unwritten(cls, shape: tuple[int, int], *, size: int) -> Self:
        """Arrays of this shape for ``size`` regressors whose contents are still to be written.

        The betas of one regressor are contiguous in memory.
        """
        beta, raw_beta = np.moveaxis(np.empty((2, size, *shape)), 1, -1)
        is_capped = np.moveaxis(np.empty((size, *shape), dtype=np.bool_), 0, -1)
        n_obs = np.empty(shape, dtype=np.int64)
        quality, reason = (np.empty(shape, dtype=np.int8) for _ in range(2))
        return cls(beta, raw_beta, is_capped, np.empty(shape), n_obs, quality, reason)


def ridge_estimates(regression: Regression, moments: Moments, *, priced: BoolArray) -> RidgeEstimates:
    """Estimates of the one joint regression; ``priced`` (rows, symbols) is false without a valid bar at the session.

    With Z the regressors less their means over their population standard deviations, the weights solve
    (Z'Z + alpha I) w = Z'(y - mean y) and beta_k = w_k / sd_k. R2 is 1 - RSS / TSS = (w'Z'y + alpha w'w) / TSS.
    """
    n, syy = moments.n[0], moments.syy[0]
    squares = [moments.sxx[regression.pairs.index((k, k)), 0] for k in range(regression.size)]
    constant = is_constant(syy, moments.mean_y[0], n)
    for square, mean in zip(squares, moments.mean_x[:, 0], strict=True):
        constant |= is_constant(square, mean, n)
    reason = missing_reasons(regression, n, priced=priced, constant=constant)
    known = reason == Reason.NONE
    # Pairs without a value divide by zero here and are masked after.
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = np.sqrt(np.stack(squares) / n)
        scaled = moments.sxy[:, 0] / deviations
        weights = _solve(_penalised(regression, moments, deviations), scaled)
        r_squared = (weights * (scaled + RIDGE_PENALTY * weights)).sum(axis=0) / syy
        raw_beta = np.where(known, weights / deviations, np.nan)
    beta, is_capped = capped(raw_beta)
    return RidgeEstimates(
        beta=np.moveaxis(beta, 0, -1),
        raw_beta=np.moveaxis(raw_beta, 0, -1),
        is_capped=np.moveaxis(is_capped, 0, -1),
        r_squared=np.where(known, r_squared, np.nan),
        n_obs=n.astype(np.int64),
        quality=qualities(regression, n, known=known),
        reason=reason,
    )


def _penalised(regression: Regression, moments: Moments, deviations: FloatArray) -> dict[tuple[int, int], FloatArray]:
    """The upper triangle of Z'Z + alpha I, each entry (rows, symbols); its diagonal is n + alpha exactly."""
    return {
        (first, second): moments.n[0] + RIDGE_PENALTY
        if first == second
        else moments.sxx[position, 0] / (deviations[first] * deviations[second])
        for position, (first, second) in enumerate(regression.pairs)
    }


def _solve(upper: dict[tuple[int, int], FloatArray], right: FloatArray) -> FloatArray:
    """Solve the symmetric positive definite systems of all pairs by Cholesky, one array operation per entry.

    ``right`` and the solution are (regressors, rows, symbols). The factor is U with U'U equal to the matrix; the
    penalty keeps its pivots away from zero however collinear the regressors are.
    """
    size = len(right)
    factor: dict[tuple[int, int], FloatArray] = {}
    for row in range(size):
        for column in range(row, size):
            entry = upper[row, column].copy()
            for above in range(row):
                entry -= factor[above, row] * factor[above, column]
            factor[row, column] = np.sqrt(entry) if row == column else entry / factor[row, row]
    solution = right.copy()
    for row in range(size):
        for above in range(row):
            solution[row] -= factor[above, row] * solution[above]
        solution[row] /= factor[row, row]
    for row in reversed(range(size)):
        for column in range(row + 1, size):
            solution[row] -= factor[row, column] * solution[column]
        solution[row] /= factor[row, row]
    return solution
