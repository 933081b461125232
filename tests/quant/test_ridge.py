import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.quant.factors import BETA_CAP, FACTOR_ETFS, FACTORS, Quality, Reason
from sigmasight_assets.quant.ridge import RidgeEstimates
from tests.quant.reference import Market, random_market, real_market, reference_ridge

RIDGE_FACTORS = tuple(factor for factor in FACTORS if factor.estimator == "ridge")


def compare_with_scikit_learn(market: Market, rows: list[int]) -> int:
    """Compare every joint estimate that has a value, and return how many there were."""
    table = market.exposures(rows).ridge
    cells = np.argwhere(table.reason == Reason.NONE)
    for position, symbol in cells:
        betas, r_squared, n_obs = reference_ridge(market, RIDGE_FACTORS, row=rows[position], symbol=symbol)
        assert_allclose(table.raw_beta[position, symbol], betas, rtol=1e-11, atol=1e-12)
        assert_allclose(table.r_squared[position, symbol], r_squared, rtol=1e-11)
        assert table.n_obs[position, symbol] == n_obs
    return len(cells)


def test_equal_to_scikit_learn_on_random_returns() -> None:
    assert compare_with_scikit_learn(random_market(seed=1), [199, 219]) == 2 * 40


def test_equal_to_scikit_learn_where_funds_have_gaps_too() -> None:
    market = random_market(seed=2, symbols=15)
    market.factor_returns[np.random.default_rng(3).random(market.factor_returns.shape) < 0.05] = np.nan
    # At the earlier session the short history has not begun.
    assert compare_with_scikit_learn(market, [140, 219]) == 2 * 15 - 1


def test_equal_to_scikit_learn_on_real_prices() -> None:
    market, sessions = real_market()
    days = ["2021-03-31", "2024-02-15", "2024-05-10", "2025-04-04", "2025-07-31"]
    # GEV is not listed on the first two days.
    assert compare_with_scikit_learn(market, [sessions.index(day) for day in days]) == 5 * 10 - 2


def test_equal_to_scikit_learn_when_regressors_are_collinear() -> None:
    market = random_market(seed=4, symbols=5)
    noise = np.random.default_rng(5).normal(0.0, 1e-5, (220, 1))
    market.factor_returns[:, 3:4] = market.factor_returns[:, 2:3] + noise
    assert compare_with_scikit_learn(market, [219]) == 5


def test_each_large_beta_is_capped_alone() -> None:
    market = random_market(seed=6, symbols=1, gaps=0.0)
    market.returns[:, 0] = 20.0 * market.factor_returns[:, 4] - 20.0 * market.factor_returns[:, 6]
    table = market.exposures([219]).ridge
    assert_array_equal(table.is_capped[0, 0], [False, False, True, False, True, False])
    assert_array_equal(table.beta[0, 0, [2, 4]], [BETA_CAP, -BETA_CAP])
    assert_array_equal(table.beta[0, 0, [0, 1, 3, 5]], table.raw_beta[0, 0, [0, 1, 3, 5]])
    assert np.all(np.abs(table.raw_beta[0, 0, [2, 4]]) > BETA_CAP)
    assert compare_with_scikit_learn(market, [219]) == 1


# Fluctuations so small that their squares are 0 are none.
@pytest.mark.parametrize("value", [0.125, 0.1, 1e-200])
@pytest.mark.parametrize("fund", [factor.proxies[0] for factor in RIDGE_FACTORS])
def test_one_regressor_that_does_not_vary_takes_all_values(fund: str, value: float) -> None:
    market = random_market(seed=7, symbols=2, gaps=0.0)
    signs = np.random.default_rng(8).choice([-1.0, 1.0], 220) if value == 1e-200 else np.ones(220)
    market.factor_returns[-90:, FACTOR_ETFS.index(fund)] = value * signs[-90:]
    table = market.exposures([150, 219]).ridge
    # At the earlier session the regressor still varies, and one of the symbols has too few returns.
    assert sorted(table.quality[0]) == [Quality.NONE, Quality.FULL]
    assert_array_equal(table.reason[1], [Reason.CONSTANT] * 2)
    assert_array_equal(table.quality[1], [Quality.NONE] * 2)
    assert np.isnan([table.beta[1], table.raw_beta[1]]).all()
    assert np.isnan(table.r_squared[1]).all()
    assert not table.is_capped[1].any()
    assert_array_equal(np.sort(table.n_obs[1]), [70, 90])


def test_memory_has_the_types_of_the_columns_with_each_beta_in_one_piece() -> None:
    table = RidgeEstimates.unwritten((2, 3), size=4)
    for betas, kind in ((table.beta, np.float64), (table.raw_beta, np.float64), (table.is_capped, np.bool_)):
        assert (betas.shape, betas.dtype) == ((2, 3, 4), np.dtype(kind))
        assert betas[..., 1].flags.c_contiguous
    columns = (table.r_squared, table.n_obs, table.quality, table.reason)
    assert [column.shape for column in columns] == [(2, 3)] * 4
    assert [column.dtype for column in columns] == list(map(np.dtype, ("float64", "int64", "int8", "int8")))
