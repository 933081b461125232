from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.factors import BETA_CAP, FACTOR_ETFS, FactorDefinition, Quality, Reason
from sigmasight_assets.quant.ols import OlsEstimates
from tests.quant.reference import Market, aligned, ols_tables, random_market, real_market, reference_ols

NORRIS = Path(scipy.stats.__file__).parent / "tests" / "data" / "nist_linregress" / "Norris.dat"
LAST = 219


def estimated_cells(market: Market, factor: FactorDefinition, rows: list[int]) -> list[tuple[int, int]]:
    """Cells (position in rows, symbol) with a bar and enough aligned rows, the funds' own regressions left out."""
    return [
        (position, symbol)
        for position, row in enumerate(rows)
        for symbol, own in enumerate(market.own)
        if market.priced[row, symbol]
        and len(aligned(market, (factor,), row=row, symbol=symbol)[1]) >= factor.min_observations
        and (own < 0 or (FACTOR_ETFS[own],) != factor.proxies)
    ]


def compare_with_statsmodels(market: Market, rows: list[int]) -> int:
    """Compare every estimate that must have a value, and return how many there were."""
    compared = 0
    for factor, table in ols_tables(market.exposures(rows)).items():
        cells = estimated_cells(market, factor, rows)
        expected = [reference_ols(market, factor, row=rows[position], symbol=symbol) for position, symbol in cells]
        where = tuple(np.array(cells).T)
        for name, absolute in (
            ("raw_beta", 1e-13),
            ("alpha", 1e-16),
            ("r_squared", 1e-15),
            ("std_err", 0),
            ("p_value", 0),
        ):
            actual = getattr(table, name)[where]
            assert_allclose(actual, [getattr(fit, name) for fit in expected], rtol=1e-12, atol=absolute, err_msg=name)
        assert_array_equal(table.n_obs[where], [fit.n_obs for fit in expected])
        compared += len(cells)
    return compared


def test_equal_to_statsmodels_on_random_returns() -> None:
    # One symbol has a short history: 50 returns at the first session, too few for its four spreads.
    assert compare_with_statsmodels(random_market(seed=1), [199, 219]) == 2 * 6 * 40 - 4


def test_equal_to_statsmodels_where_funds_have_gaps_too() -> None:
    market = random_market(seed=2, symbols=15)
    market.factor_returns[np.random.default_rng(3).random(market.factor_returns.shape) < 0.05] = np.nan
    assert compare_with_statsmodels(market, [150, 219]) > 2 * 6 * 14


def test_equal_to_statsmodels_on_real_prices() -> None:
    market, sessions = real_market()
    days = ["2021-03-31", "2024-02-15", "2024-05-10", "2025-04-04", "2025-07-31"]
    # Of 10 symbols, TLT is its own regressor, and GEV is not listed on two days and has 30 returns on the third.
    assert compare_with_statsmodels(market, [sessions.index(day) for day in days]) == 5 * 6 * 10 - 5 - 2 * 6 - 4


def norris_market() -> Market:
    """The 36 certified observations: x as the return of SPY, y as that of one symbol."""
    if not NORRIS.exists():
        pytest.skip(f"scipy is installed without its test data ({NORRIS.name})")
    y, x = np.loadtxt(NORRIS, skiprows=60, unpack=True)
    funds = np.random.default_rng(5).normal(size=(len(x), len(FACTOR_ETFS)))
    funds[:, 0] = x
    return Market(y[:, None], funds, np.ones((len(x), 1), dtype=np.bool_), np.array([-1]))


def test_certified_values_of_norris() -> None:
    market = norris_market().exposures([35]).market
    certified = {
        "raw_beta": 1.00211681802045,
        "alpha": -0.262323073774029,
        "std_err": 0.429796848199937e-03,
        "r_squared": 0.999993745883712,
    }
    for name, value in certified.items():
        assert_allclose(getattr(market, name)[0, 0], value, rtol=1e-12, err_msg=name)
    assert market.n_obs[0, 0] == 36


def exact_line(x: FloatArray, y: FloatArray) -> tuple[Fraction, Fraction, Fraction]:
    """Slope, R2 and squared standard error in exact rational arithmetic."""
    xs, ys = [Fraction(value) for value in x], [Fraction(value) for value in y]
    n = len(xs)
    mean_x, mean_y = sum(xs, Fraction()) / n, sum(ys, Fraction()) / n
    sxx = sum(((value - mean_x) ** 2 for value in xs), Fraction())
    syy = sum(((value - mean_y) ** 2 for value in ys), Fraction())
    sxy = sum(((a - mean_x) * (b - mean_y) for a, b in zip(xs, ys, strict=True)), Fraction())
    residual = syy - sxy * sxy / sxx
    return sxy / sxx, 1 - residual / syy, residual / (n - 2) / sxx


def test_an_almost_perfect_fit_keeps_the_digits_of_its_residuals() -> None:
    market = random_market(seed=6, symbols=20, gaps=0.0)
    noise = np.random.default_rng(7).normal(0.0, 1e-6, market.returns.shape)
    market.returns[:] = 1.5 * market.factor_returns[:, :1] + 0.001 + noise
    table = market.exposures([LAST]).market
    for symbol in range(20):
        beta, r_squared, variance = exact_line(market.factor_returns[130:, 0], market.returns[130:, symbol])
        assert 0 < 1 - r_squared < 1e-7
        assert_allclose(table.raw_beta[0, symbol], float(beta), rtol=1e-14)
        assert_allclose(table.std_err[0, symbol], float(variance) ** 0.5, rtol=1e-12)
        # Half the distance between floats below 1: no digit of 1 - R2 is lost that the float of R2 can hold.
        assert_allclose(1.0 - table.r_squared[0, symbol], float(1 - r_squared), rtol=0.0, atol=5.6e-17)


def test_an_almost_absent_relation_keeps_the_digits_of_its_r_squared() -> None:
    market = random_market(seed=6, symbols=20, gaps=0.0)
    noise = np.random.default_rng(7).normal(0.0, 0.01, market.returns.shape)
    x = market.factor_returns[130:, 0] - market.factor_returns[130:, 0].mean()
    market.returns[130:] = noise[130:] - np.outer(x, x @ noise[130:] / (x @ x)) + 1e-6 * x[:, None]
    table = market.exposures([LAST]).market
    for symbol in range(20):
        beta, r_squared, _ = exact_line(market.factor_returns[130:, 0], market.returns[130:, symbol])
        assert 0 < r_squared < 1e-11
        assert_allclose(table.raw_beta[0, symbol], float(beta), rtol=1e-8)
        assert_allclose(table.r_squared[0, symbol], float(r_squared), rtol=1e-8)


def test_a_large_beta_is_capped_and_its_raw_value_kept() -> None:
    market = random_market(seed=8, symbols=3, gaps=0.0)
    market.returns[:] = market.returns + market.factor_returns[:, :1] * np.array([9.0, -9.0, 0.0])
    table = market.exposures([LAST]).market
    assert_array_equal(table.beta[0, :2], [BETA_CAP, -BETA_CAP])
    assert_array_equal(table.is_capped[0], [True, True, False])
    assert table.raw_beta[0, 0] > BETA_CAP
    assert table.raw_beta[0, 1] < -BETA_CAP
    assert table.beta[0, 2] == table.raw_beta[0, 2]


def test_a_fund_regressed_on_itself_is_exact_and_only_there() -> None:
    base = random_market(seed=9, symbols=1, gaps=0.0)
    funds = base.factor_returns
    own = np.arange(len(FACTOR_ETFS))
    market = Market(funds.copy(), funds, np.ones(funds.shape, dtype=np.bool_), own)
    exposures = market.exposures([LAST])
    exact = {"beta": 1.0, "raw_beta": 1.0, "alpha": 0.0, "r_squared": 1.0, "std_err": 0.0, "p_value": 0.0}
    for name, value in exact.items():
        assert getattr(exposures.market, name)[0, 0] == value
        assert getattr(exposures.rates, name)[0, 1] == value
    assert exposures.market.quality[0, 0] == Quality.FULL
    assert 0.0 < exposures.rates.std_err[0, 0] < np.inf
    assert compare_with_statsmodels(market, [LAST]) == 6 * 8 - 2


@pytest.mark.parametrize(("sessions", "reason"), [(29, Reason.SHORT_HISTORY), (30, Reason.NONE)])
def test_a_fund_regressed_on_itself_needs_its_observations(sessions: int, reason: Reason) -> None:
    funds = random_market(seed=10, sessions=sessions, symbols=1).factor_returns
    market = Market(funds.copy(), funds, np.ones(funds.shape, dtype=np.bool_), np.arange(8))
    table = market.exposures([sessions - 1]).market
    assert table.reason[0, 0] == reason
    assert np.isnan(table.beta[0, 0]) == (reason != Reason.NONE)


def test_no_relation_at_all_gives_beta_zero_and_p_value_one() -> None:
    market = random_market(seed=11, symbols=1, gaps=0.0)
    signs = np.resize([1.0, -1.0, -1.0, 1.0], 220)
    market.factor_returns[:, 0] = np.resize([0.01, 0.01, -0.01, -0.01], 220)
    market.returns[:, 0] = 0.02 * signs
    # The last 88 of the window are 22 whole periods; the first two rows of it are dropped.
    market.returns[130:132] = np.nan
    table = market.exposures([LAST]).market
    assert_allclose([table.beta[0, 0], table.r_squared[0, 0]], 0.0, atol=1e-15)
    assert_allclose(table.p_value[0, 0], 1.0, rtol=1e-12)


@pytest.mark.parametrize("is_fund", [True, False])
def test_a_side_that_does_not_vary_has_no_value(*, is_fund: bool) -> None:
    market = random_market(seed=12, symbols=2, gaps=0.0)
    (market.factor_returns if is_fund else market.returns)[130:, 0] = 0.1
    table = market.exposures([LAST]).market
    assert_array_equal(table.reason[0], [Reason.CONSTANT, Reason.CONSTANT if is_fund else Reason.NONE])
    assert_array_equal(np.isnan(table.raw_beta[0]), [True, is_fund])
    assert_array_equal(np.isnan(table.p_value[0]), [True, is_fund])


def test_memory_has_the_types_of_the_columns() -> None:
    first, second = OlsEstimates.unwritten((2, 3), count=2)
    kinds = {"n_obs": np.int64, "quality": np.int8, "reason": np.int8, "is_capped": np.bool_}
    for name, column in vars(first).items():
        assert (column.shape, column.dtype) == ((2, 3), np.dtype(kinds.get(name, np.float64))), name
        assert not any(np.may_share_memory(column, other) for other in vars(second).values())
