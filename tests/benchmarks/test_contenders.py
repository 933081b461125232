"""The contenders of the engine's benchmark estimate what the engine estimates, so their times can be compared."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from benchmarks.contenders import (
    OLS_FACTORS,
    RIDGE_FACTORS,
    joint,
    loops,
    polars_ols_fits,
    regressor,
    rolling_ols,
    sklearn_by_gap_pattern,
    window_of,
)
from benchmarks.engine import Market, ours, synthetic_market
from sigmasight_assets.quant.factors import FactorDefinition
from sigmasight_assets.quant.ols import OlsEstimates
from sigmasight_assets.quant.regression import SymbolExposures


@pytest.fixture(scope="module")
def several() -> Market:
    """Three sessions."""
    return synthetic_market(40, 3)


@pytest.fixture(scope="module")
def single() -> Market:
    """One session."""
    return synthetic_market(40, 1)


def of_factor(exposures: SymbolExposures, factor: FactorDefinition) -> OlsEstimates:
    tables = (exposures.market, exposures.rates, *exposures.spreads)
    return tables[OLS_FACTORS.index(factor)]


def test_loops_fit_every_regression_of_the_engine(several: Market) -> None:
    exposures, found = ours(several), loops(several)
    compared = 0
    for position, row in enumerate(several.rows.tolist()):
        for symbol in range(several.returns.shape[1]):
            for factor in OLS_FACTORS:
                table = of_factor(exposures, factor)
                names = ("raw_beta", "r_squared", "std_err", "p_value")
                expected = [getattr(table, name)[position, symbol] for name in names]
                fit = found.get((row, symbol, factor.name), (np.nan,) * 4)
                assert_allclose(fit, expected, rtol=1e-9, atol=1e-12)
                compared += np.isfinite(fit[0])
            ridge = exposures.ridge
            expected = [*ridge.raw_beta[position, symbol], ridge.r_squared[position, symbol]]
            fit = found.get((row, symbol, "ridge"), (np.nan,) * 7)
            assert_allclose(fit, expected, rtol=1e-9, atol=1e-12)
    # Of the 40 symbols one is too young for the spreads.
    assert compared == 3 * (40 * 6 - 4)


def test_groups_by_gap_pattern_give_every_slope(several: Market) -> None:
    exposures, found = ours(several), sklearn_by_gap_pattern(several)
    for position, row in enumerate(several.rows.tolist()):
        for factor in OLS_FACTORS:
            expected = of_factor(exposures, factor).raw_beta[position]
            assert_allclose(found[row, factor.name], expected, rtol=1e-9, atol=1e-12)
        assert_allclose(found[row, "ridge"], exposures.ridge.raw_beta[position], rtol=1e-9, atol=1e-12)


def test_rolling_statsmodels_gives_every_line(several: Market) -> None:
    exposures, found = ours(several), rolling_ols(several)
    for factor in OLS_FACTORS:
        table = of_factor(exposures, factor)
        for symbol in range(several.returns.shape[1]):
            params, r_squared, std_err, p_value = (np.asarray(part)[-3:] for part in found[symbol, factor.name])
            assert_allclose(params[:, 1], table.raw_beta[:, symbol], rtol=1e-9, atol=1e-12)
            assert_allclose(r_squared, table.r_squared[:, symbol], rtol=1e-9, atol=1e-12)
            assert_allclose(std_err[:, 1], table.std_err[:, symbol], rtol=1e-9)
            assert_allclose(p_value[:, 1], table.p_value[:, symbol], rtol=1e-9, atol=1e-12)


def test_polars_gives_the_lines_of_one_session(single: Market) -> None:
    pytest.importorskip("polars_ols")
    exposures = ours(single)
    short, ridge, spreads = polars_ols_fits(single)
    for frame in (short, spreads):
        for factor in OLS_FACTORS:
            if factor.name not in frame.columns:
                continue
            table = of_factor(exposures, factor)
            for symbol, fit in zip(frame["symbol"], frame[factor.name], strict=True):
                if np.isnan(table.raw_beta[0, symbol]):
                    continue
                slope = fit["feature_names"].index(factor.name)
                for name, expected in (
                    ("coefficients", table.raw_beta),
                    ("standard_errors", table.std_err),
                    ("p_values", table.p_value),
                ):
                    assert_allclose(fit[name][slope], expected[0, symbol], rtol=1e-9, atol=1e-12, err_msg=name)
    regressors = joint(single)[window_of(int(single.rows[0]), RIDGE_FACTORS[0])]
    for symbol, fit in zip(ridge["symbol"], ridge["ridge"], strict=True):
        used = np.isfinite(single.returns[window_of(int(single.rows[0]), RIDGE_FACTORS[0]), symbol])
        slopes = np.array([fit[factor.name] for factor in RIDGE_FACTORS]) / regressors[used].std(axis=0)
        assert_allclose(slopes, exposures.ridge.raw_beta[0, symbol], rtol=1e-9, atol=1e-12)


def test_rolling_polars_takes_the_last_returns_that_a_symbol_has(several: Market) -> None:
    pytest.importorskip("polars_ols")
    factor, first = OLS_FACTORS[0], int(several.rows[0])
    slopes = polars_ols_fits(several)[0]["fit"].struct.field(factor.name).to_numpy()
    x = regressor(several, factor)
    expected, gaps = [], 0
    for y in several.returns.T:
        present = np.flatnonzero(np.isfinite(y))
        for end in np.flatnonzero(present >= first):
            used = present[max(0, end - factor.window + 1) : end + 1]
            gaps += int(used[-1] - used[0] >= len(used))
            expected.append(np.polyfit(x[used], y[used], 1)[0])

    assert gaps > len(expected) / 4
    assert_allclose(slopes, expected, rtol=1e-8, atol=1e-10)
