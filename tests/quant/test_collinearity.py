import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.outliers_influence import variance_inflation_factor
from statsmodels.tools import add_constant

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.collinearity import MIN_ROWS, RIDGE_FACTORS, WINDOW, CollinearityReason, collinearity
from tests.quant.reference import random_market, real_market


def styles(seed: int = 1, rows: int = WINDOW) -> FloatArray:
    return random_market(seed=seed, sessions=rows).factor_returns[:, 2:]


def assert_as_by_statsmodels(regressors: FloatArray) -> None:
    found = collinearity(regressors)
    used = regressors[np.isfinite(regressors).all(axis=1)]
    design = add_constant(used)
    inflation = [variance_inflation_factor(design, column) for column in range(1, design.shape[1])]
    assert_allclose(found.inflation, inflation, rtol=1e-8)
    assert found.condition_number == pytest.approx(np.linalg.cond(StandardScaler().fit_transform(used)), rel=1e-10)
    assert (found.n_obs, found.reason) == (len(used), CollinearityReason.NONE)


@pytest.mark.parametrize("gaps", [0.0, 0.05])
def test_equal_to_statsmodels_and_numpy(gaps: float) -> None:
    regressors = styles()
    regressors[np.random.default_rng(2).random(regressors.shape) < gaps] = np.nan
    assert_as_by_statsmodels(regressors)


def test_equal_to_statsmodels_and_numpy_on_real_returns() -> None:
    market, sessions = real_market()
    for day in ("2022-06-16", "2025-04-09"):
        row = sessions.index(day)
        assert_as_by_statsmodels(market.factor_returns[row + 1 - WINDOW : row + 1, 2:])


def test_orthogonal_regressors_inflate_nothing() -> None:
    signs = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    found = collinearity(np.tile(signs, (10, 1)) * [0.01, 3.0] + [5.0, 0.0])
    assert found.condition_number == pytest.approx(1.0, rel=1e-12)
    assert_allclose(found.inflation, 1.0, rtol=1e-12)


def test_neither_scale_nor_shift_of_a_regressor_matters() -> None:
    plain, changed = collinearity(styles()), collinearity(styles() * [1, 2, 3, 4, 5, -60] + 0.1)
    assert changed.condition_number == pytest.approx(plain.condition_number, rel=1e-9)
    assert_allclose(changed.inflation, plain.inflation, rtol=1e-9)


def test_too_few_rows_have_no_numbers() -> None:
    regressors = styles()
    regressors[MIN_ROWS:, 3] = np.nan
    assert collinearity(regressors).reason == CollinearityReason.NONE
    regressors[0, 1] = np.nan
    found = collinearity(regressors)
    assert (found.n_obs, found.reason) == (MIN_ROWS - 1, CollinearityReason.SHORT_HISTORY)
    assert np.isnan([found.condition_number, *found.inflation]).all()
    assert collinearity(np.empty((0, 6))).n_obs == 0


def test_a_constant_regressor_and_a_repeated_one_are_named() -> None:
    constant, repeated = styles(), styles()
    constant[:, 2] = 0.1
    repeated[:, 2] = 2.0 * repeated[:, 0] - repeated[:, 5]
    for regressors, reason in ((constant, CollinearityReason.CONSTANT), (repeated, CollinearityReason.COLLINEAR)):
        found = collinearity(regressors)
        assert (found.n_obs, found.reason) == (WINDOW, reason)
        assert np.isnan([found.condition_number, *found.inflation]).all()


@pytest.mark.parametrize(("share", "reason"), [(0.8, CollinearityReason.COLLINEAR), (1.25, CollinearityReason.NONE)])
def test_the_bound_is_the_rounding_of_the_largest_singular_value(share: float, reason: CollinearityReason) -> None:
    """Of two standardised regressors with correlation c these are sqrt(1 + c) and sqrt(1 - c)."""
    signs = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    first, other = np.tile(signs, (10, 1)).T
    smallest = share * 40 * np.finfo(np.float64).eps * np.sqrt(2)
    # 1 - c of x and x + d z is d^2 / 2 for small d.
    repeated = np.column_stack([first, first + np.sqrt(2) * smallest * other])
    assert collinearity(repeated).reason == reason
    assert collinearity(np.column_stack([first, 2.0 * first])).reason == CollinearityReason.COLLINEAR


def test_the_regressors_are_the_six_styles_over_the_window_of_their_regression() -> None:
    assert [factor.proxies[0] for factor in RIDGE_FACTORS] == ["VTV", "VUG", "MTUM", "QUAL", "IWM", "USMV"]
    assert (WINDOW, MIN_ROWS) == (90, 30)


def test_reasons_are_the_words_that_are_shown() -> None:
    assert [reason.value for reason in CollinearityReason] == ["none", "short_history", "constant", "collinear"]
