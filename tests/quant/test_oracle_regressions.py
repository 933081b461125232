"""Whole tables of exposures against other packages, cell by cell, on a market with every kind of trouble at once."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.factors import FACTOR_ETFS, Reason
from sigmasight_assets.quant.returns import simple_returns
from tests.quant.reference import (
    RIDGE_FACTORS,
    Market,
    ols_tables,
    random_market,
    reference_ols,
    reference_reason,
    reference_ridge,
)

ROWS = [45, 100, 179, 180, 259]
LAST = ROWS[-1]
# Figures that may be next to 0 are compared with this besides 12 digits; a p-value of 1e-255 has lost the last digit.
ABSOLUTE = {"raw_beta": 1e-13, "alpha": 1e-16, "r_squared": 1e-15, "std_err": 0.0, "p_value": 1e-200}


def troubled_market() -> Market:
    """260 sessions of 24 symbols: gaps, halts, late and lost listings, constants, infinities, and gaps in the funds."""
    market = random_market(seed=20, sessions=260, symbols=24, gaps=0.03)
    random = np.random.default_rng(21)
    returns, funds = market.returns, market.factor_returns
    funds[random.random(funds.shape) < 0.01] = np.nan
    returns[:, 0] = 0.0
    returns[90:, 1] = np.where(np.isfinite(returns[90:, 1]), 1.0 / 3.0, np.nan)
    returns[random.random(260) < 0.6, 2] = np.nan
    returns[100:130, 3] = np.nan
    returns[::7, 4] = np.inf
    returns[:, 5] = np.nan
    for symbol, listed in enumerate((260 - 29, 260 - 31, 260 - 62, 260 - 125), start=6):
        returns[:listed, symbol] = np.nan
    for session, symbol in ((LAST, 10), (180, 11), (45, 12)):
        market.priced[session, symbol] = False
    returns[150:, 13] = np.nan
    market.priced[150:, 13] = False
    returns[:, 14] = 8.0 * np.nan_to_num(funds[:, 0]) + 1e-4 * random.normal(size=260)
    return market


@pytest.fixture(scope="module")
def market() -> Market:
    return troubled_market()


def test_least_squares_has_the_values_and_the_missing_cells_of_statsmodels(market: Market) -> None:
    reasons = set()
    for factor, table in ols_tables(market.exposures(ROWS)).items():
        for (position, row), symbol in product(enumerate(ROWS), range(24)):
            reason = reference_reason(market, (factor,), row=row, symbol=symbol)
            reasons.add(reason)
            where = f"{factor.name} of symbol {symbol} at session {row}"
            assert table.reason[position, symbol] == reason, where
            found = {name: getattr(table, name)[position, symbol] for name in ABSOLUTE}
            if reason != Reason.NONE:
                assert np.isnan([*found.values(), table.beta[position, symbol]]).all(), where
                continue
            expected = reference_ols(market, factor, row=row, symbol=symbol)
            for name, value in found.items():
                assert_allclose(
                    value, getattr(expected, name), rtol=1e-12, atol=ABSOLUTE[name], err_msg=f"{name}, {where}"
                )
            assert table.n_obs[position, symbol] == expected.n_obs
    assert reasons == set(Reason)


def test_ridge_has_the_values_and_the_missing_cells_of_scikit_learn(market: Market) -> None:
    table = market.exposures(ROWS).ridge
    reasons = set()
    for (position, row), symbol in product(enumerate(ROWS), range(24)):
        reason = reference_reason(market, RIDGE_FACTORS, row=row, symbol=symbol)
        reasons.add(reason)
        assert table.reason[position, symbol] == reason, (row, symbol)
        found = [*table.raw_beta[position, symbol], table.r_squared[position, symbol]]
        if reason != Reason.NONE:
            assert np.isnan([*found, *table.beta[position, symbol]]).all()
            continue
        betas, r_squared, n_obs = reference_ridge(market, RIDGE_FACTORS, row=row, symbol=symbol)
        assert_allclose(found, [*betas, r_squared], rtol=1e-11, atol=1e-13)
        assert table.n_obs[position, symbol] == n_obs
    assert reasons == set(Reason)


def test_the_order_of_the_style_funds_is_the_order_of_the_style_betas(market: Market) -> None:
    order = np.array([3, 0, 5, 1, 4, 2])
    columns = np.arange(len(FACTOR_ETFS))
    columns[2:] = columns[2:][order]
    plain = market.exposures(ROWS).ridge
    moved = replace(market, factor_returns=market.factor_returns[:, columns]).exposures(ROWS).ridge
    assert_allclose(moved.raw_beta, plain.raw_beta[..., order], rtol=1e-11, atol=1e-13)
    assert_allclose(moved.r_squared, plain.r_squared, rtol=1e-11)
    assert_array_equal(moved.reason, plain.reason)


def prices_of(returns: FloatArray) -> FloatArray:
    """Prices whose returns these are, missing where a return is."""
    levels = 40.0 * np.cumprod(1.0 + np.where(np.isfinite(returns), returns, 0.0), axis=0)
    return np.where(np.isfinite(returns), levels, np.nan)


@pytest.mark.parametrize("scale", [0.01, 0.5, 3.7, 1e6])
def test_the_scale_of_prices_is_of_no_importance(scale: float) -> None:
    market = random_market(seed=22, sessions=260, symbols=8, gaps=0.02)
    symbols, funds = prices_of(market.returns), prices_of(market.factor_returns)

    def exposures(symbol_scale: float, fund_scale: float) -> Market:
        priced = np.isfinite(symbols)
        return Market(simple_returns(symbols * symbol_scale), simple_returns(funds * fund_scale), priced, market.own)

    plain = exposures(1.0, 1.0).exposures([LAST])
    for scaled in (exposures(scale, 1.0), exposures(1.0, scale), exposures(scale, 1.0 / scale)):
        for before, after in zip(plain.tables, scaled.exposures([LAST]).tables, strict=True):
            assert_allclose(after.raw_beta, before.raw_beta, rtol=1e-11, atol=1e-12)
            assert_allclose(after.r_squared, before.r_squared, rtol=1e-11, atol=1e-12)
            assert_array_equal(after.n_obs, before.n_obs)
            assert_array_equal(after.reason, before.reason)
