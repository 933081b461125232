"""Values certified or printed by others: NIST's Longley data, R's ridge regression and glmnet.

NIST's Norris data, which have one regressor and enough rows, go through the whole engine in ``test_ols``.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import statsmodels
import statsmodels.api as sm
from numpy.testing import assert_allclose

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.gram import Regression, centred_moments, symbol_block
from sigmasight_assets.quant.ols import OlsEstimates, ols_estimates
from sigmasight_assets.quant.ridge import ridge_estimates
from tests.quant.reference import fit_least_squares

GLMNET = Path(statsmodels.__file__).parent / "regression" / "tests" / "results"
GLMNET_DATA = GLMNET / "lasso_data.csv"
PRICED = np.ones((1, 1), dtype=np.bool_)


def regression_on(x: FloatArray) -> Regression:
    """One joint regression on the columns of x (n, k), its window all the rows."""
    present = np.ones((1, len(x)), dtype=np.bool_)
    return Regression(x.T[:, None], present, window=len(x), min_observations=3, full_observations=3)


def line(x: FloatArray, y: FloatArray) -> OlsEstimates:
    """The project's least squares of y (n,) on x (n,)."""
    regression, rows = regression_on(x[:, None]), np.array([len(x) - 1])
    symbols = symbol_block(y[:, None], start=0, end=len(y))
    moments = centred_moments(regression, symbols, rows=rows)
    itself = np.zeros((1, 1), dtype=np.bool_)
    (estimates,) = ols_estimates(regression, symbols, moments, rows=rows, priced=PRICED, itself=itself)
    return estimates


def ridge(x: FloatArray, y: FloatArray, penalty: float, patch: pytest.MonkeyPatch) -> tuple[FloatArray, float]:
    """The project's ridge betas and R2 of y (n,) on the columns of x (n, k) with another penalty than its own."""
    patch.setattr("sigmasight_assets.quant.ridge.RIDGE_PENALTY", penalty)
    regression = regression_on(x)
    symbols = symbol_block(y[:, None], start=0, end=len(y))
    moments = centred_moments(regression, symbols, rows=np.array([len(x) - 1]))
    estimates = ridge_estimates(regression, moments, priced=PRICED)
    return estimates.raw_beta[0, 0], float(estimates.r_squared[0, 0])


def longley() -> tuple[FloatArray, FloatArray]:
    """Employment (16,) and its six regressors (16, 6): deflator, product, unemployed, forces, population, year."""
    data = sm.datasets.longley.load_pandas()
    return data.endog.to_numpy(dtype=np.float64), data.exog.to_numpy(dtype=np.float64)


def test_longley_has_nine_certified_digits_through_the_reference() -> None:
    y, x = longley()
    fit = fit_least_squares(x, y)
    slopes = [15.0618722713733, -0.0358191792925910, -2.02022980381683, -1.03322686717359, -0.0511041056535807]
    assert_allclose(fit.params, [-3482258.63459582, *slopes, 1829.15146461355], rtol=1e-9)
    errors = [84.9149257747669, 0.0334910077722432, 0.488399681651699, 0.214274163161675, 0.226073200069370]
    assert_allclose(fit.bse, [890420.383607373, *errors, 455.478499142212], rtol=1e-9)
    assert_allclose(fit.rsquared, 0.995479004577296, rtol=1e-9)
    assert_allclose(np.sqrt(fit.mse_resid), 304.854073561965, rtol=1e-9)


def test_longley_one_regressor_at_a_time_equals_the_reference() -> None:
    y, x = longley()
    for column in x.T:
        fit, expected = line(column, y), fit_least_squares(column, y)
        assert_allclose([fit.alpha[0, 0], fit.raw_beta[0, 0]], expected.params, rtol=1e-11)
        assert_allclose(fit.std_err[0, 0], expected.bse[1], rtol=1e-11)
        assert_allclose(fit.p_value[0, 0], expected.pvalues[1], rtol=1e-9)


def deflator() -> tuple[FloatArray, FloatArray]:
    """The deflator (16,) on the other six columns (16, 6), as the ridge example of R's MASS takes the Longley data."""
    employment, x = longley()
    return x[:, 0], np.column_stack((x[:, 1:], employment))


def test_longley_ridge_constant_of_hoerl_kennard_and_baldwin(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = deflator()
    n, k = x.shape
    beta, r_squared = ridge(x, y, 0.0, monkeypatch)
    weights = beta * x.std(axis=0)
    variance = (1.0 - r_squared) * n * y.var() / (n - k - 1)
    # MASS prints "modified HKB estimator is 0.006836982".
    assert round((k - 2) * variance / (weights @ weights), 9) == 0.006836982


def test_longley_ridge_minimum_of_generalised_cross_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = deflator()
    n = len(y)
    roots = np.linalg.eigvalsh(n * np.corrcoef(x, rowvar=False))

    def score(penalty: float) -> float:
        _, r_squared = ridge(x, y, penalty, monkeypatch)
        return float((1.0 - r_squared) / (n - (roots / (roots + penalty)).sum()) ** 2)

    # MASS prints "smallest value of GCV at 0.0057" on this grid.
    penalties = [step / 10_000 for step in range(1_001)]
    assert min(penalties, key=score) == 0.0057


def glmnet_cases() -> list[FloatArray]:
    """Every ridge case: rows, regressors, mixing (0), lambda, then the coefficients."""
    results = GLMNET / "glmnet_r_results.py"
    if not (results.exists() and GLMNET_DATA.exists()):
        pytest.skip(f"statsmodels is installed without its test results ({results.name}, {GLMNET_DATA.name})")
    spec = importlib.util.spec_from_file_location(results.stem, results)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cases = [np.asarray(value) for name, value in vars(module).items() if name.startswith("rslt_")]
    return [case for case in cases if case[2] == 0.0]


def test_ridge_equals_glmnet(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = glmnet_cases()
    assert len(cases) == 27
    data = np.loadtxt(GLMNET_DATA, delimiter=",")
    for case in cases:
        n, k, penalty = int(case[0]), int(case[1]), case[3]
        columns = data[:n, : k + 1]
        columns = (columns - columns.mean(axis=0)) / columns.std(axis=0, ddof=1)
        # glmnet means the squares over n and scales y by its population deviation; its regressors had a sample
        # deviation of 1, so in units of their population deviation the penalty is larger by n / (n - 1).
        deviation = np.sqrt((n - 1) / n)
        beta, _ = ridge(columns[:, 1:], columns[:, 0], n * penalty / deviation / deviation**2, monkeypatch)
        assert_allclose(beta, case[4:], rtol=1e-6, atol=1e-8)
