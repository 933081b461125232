"""Ordinary least squares with an intercept on one regressor: coefficients, fit and inference from centred moments.

Source: formulas.md section 3. The sums are made in ``gram``.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, CodeArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import Reason
from sigmasight_assets.quant.gram import Moments, Regression, SymbolBlock, aligned_rows, is_constant, selected_pairs
from sigmasight_assets.quant.publishable import capped, missing_reasons, qualities
from sigmasight_assets.quant.student_t import two_sided_p_values

# Where less than this share of the variation is left, the residual sum of squares is summed from the residuals: a
# difference of moments would lose digits, and the p-value loses as many times more as there are rows.
CLOSE_FIT = 0.1


@dataclass(frozen=True)
class OlsEstimates:
    """Estimates of one regression, each array (sessions, symbols).

    ``beta`` is ``raw_beta`` bounded to +-5, with ``is_capped`` where the bound applied; ``alpha`` is in the unit of
    the symbol's returns, a day; ``p_value`` is two-sided for the raw beta with n - 2 degrees of freedom. ``n_obs``
    counts the rows used, also where there is no value: there the numbers are NaN, ``quality`` is ``NONE`` and
    ``reason`` tells why.
    """

    beta: FloatArray
    raw_beta: FloatArray
    alpha: FloatArray
    r_squared: FloatArray
    std_err: FloatArray
    p_value: FloatArray
    n_obs: IntArray
    quality: CodeArray
    reason: CodeArray
    is_capped: BoolArray

    @classmethod
    def unwritten(cls, shape: tuple[int, int], *, count: int) -> tuple[Self, ...]:
        """Arrays of this shape for ``count`` regressions whose contents are still to be written.

        Those of one type share their memory: the system gives large pages to large arrays, and a range of sessions
        takes a third of the page faults that arrays of their own take.
        """
        numbers = np.empty((count, 6, *shape))
        n_obs = np.empty((count, *shape), dtype=np.int64)
        codes = np.empty((count, 2, *shape), dtype=np.int8)
        is_capped = np.empty((count, *shape), dtype=np.bool_)
        return tuple(
            cls(beta, raw_beta, alpha, r_squared, std_err, p_value, n_obs[k], codes[k, 0], codes[k, 1], is_capped[k])
            for k, (beta, raw_beta, alpha, r_squared, std_err, p_value) in enumerate(numbers)
        )


@dataclass(frozen=True)
class _Fit:
    """Coefficients and inference, each array (groups, rows, symbols); meaningless outside the known pairs."""

    beta: FloatArray
    alpha: FloatArray
    r_squared: FloatArray
    std_err: FloatArray
    p_value: FloatArray


def ols_estimates(
    regression: Regression,
    symbols: SymbolBlock,
    moments: Moments,
    *,
    rows: IntArray,
    priced: BoolArray,
    itself: BoolArray,
) -> tuple[OlsEstimates, ...]:
    """Estimates of each regression of ``regression``, their arrays (rows, symbols).

    ``priced`` (rows, symbols) is false where the symbol has no valid bar at the session; ``itself`` (groups, symbols)
    is true where the symbol is the regressor: its fit is exact by definition.
    """
    n = moments.n
    constant = is_constant(moments.sxx[0], moments.mean_x[0], n) | is_constant(moments.syy, moments.mean_y, n)
    reason = missing_reasons(regression, n, priced=priced, constant=constant)
    known = reason == Reason.NONE
    unknown = ~known
    exact = known & itself[:, None]
    fit = _fit(regression, symbols, moments, rows=rows, known=known)

    def published(estimate: FloatArray, value_of_exact_fit: float) -> FloatArray:
        np.copyto(estimate, value_of_exact_fit, where=exact)
        np.copyto(estimate, np.nan, where=unknown)
        return estimate

    raw_beta = published(fit.beta, 1.0)
    beta, is_capped = capped(raw_beta)
    columns = {
        "beta": beta,
        "raw_beta": raw_beta,
        "alpha": published(fit.alpha, 0.0),
        "r_squared": published(fit.r_squared, 1.0),
        "std_err": published(fit.std_err, 0.0),
        "p_value": published(fit.p_value, 0.0),
    }
    return tuple(
        OlsEstimates(
            **{name: column[group] for name, column in columns.items()},
            n_obs=n[group].astype(np.int64),
            quality=qualities(regression, n[group], known=known[group]),
            reason=reason[group],
            is_capped=is_capped[group],
        )
        for group in range(regression.groups)
    )


def _fit(regression: Regression, symbols: SymbolBlock, moments: Moments, *, rows: IntArray, known: BoolArray) -> _Fit:
    sxx, sxy, syy, n = moments.sxx[0], moments.sxy[0], moments.syy, moments.n
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = sxy / sxx
        residual = syy - beta * sxy
        close = known & (residual < CLOSE_FIT * syy)
        for selected in selected_pairs(close):
            x, y = _centred_rows(regression, symbols, moments, rows=rows, selected=selected)
            residual[selected] = ((y - beta[selected][:, None] * x) ** 2).sum(axis=-1)
        std_err = np.sqrt(residual / (n - 2.0) / sxx)
        # The same number twice; each form keeps its digits on its own side of one half.
        r_squared = np.where(residual < 0.5 * syy, 1.0 - residual / syy, beta * sxy / syy)
        statistic = np.where(known, beta / std_err, np.nan)
    p_value = two_sided_p_values(statistic, n - 2.0)
    return _Fit(beta, moments.mean_y - beta * moments.mean_x[0], r_squared, std_err, p_value)


def _centred_rows(
    regression: Regression,
    symbols: SymbolBlock,
    moments: Moments,
    *,
    rows: IntArray,
    selected: tuple[IntArray, IntArray, IntArray],
) -> tuple[FloatArray, FloatArray]:
    """Regressor and return less their means, 0 where unused, both (selected pairs, window)."""
    aligned = aligned_rows(regression, symbols, rows=rows, selected=selected)
    x = np.where(aligned.used, aligned.x[0] - moments.mean_x[0][selected][:, None], 0.0)
    y = np.where(aligned.used, aligned.y - moments.mean_y[selected][:, None], 0.0)
    return x, y
