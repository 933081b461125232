"""Performance figures against pandas and statsmodels, and histories that are known by hand."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.performance import (
    annual_volatility,
    annualized_return,
    current_drawdown,
    drawdowns,
    growth_index,
    joint_observations,
    maximum_drawdown,
    relative_performance,
    snapshot_returns,
)

NAN = float("nan")
DAILY = st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=60)


def random_returns(count: int = 300, seed: int = 8) -> FloatArray:
    return np.random.default_rng(seed).normal(5e-4, 0.012, count)


def index_of(*returns: float) -> FloatArray:
    return growth_index(np.array([NAN, *returns]))


def test_returns_are_of_the_money_that_was_there() -> None:
    equity = np.array([100.0, 110.0, 165.0, 0.0, -10.0, 5.0, -2.0])
    pnl = np.array([0.0, 10.0, 5.0, -165.0, -10.0, 0.0, 1.0])
    flow = np.array([7.0, 0.0, 50.0, 0.0, 0.0, 15.0, -8.0])
    # 10 of 100, 5 of 110 + 50, all of 165, of nothing, of -10 + 15, of 5 - 8.
    assert_allclose(snapshot_returns(equity, pnl, flow), [NAN, 0.1, 0.03125, -1.0, NAN, 0.0, NAN])


def test_the_least_base_has_a_return() -> None:
    assert_allclose(snapshot_returns(np.array([0.5, 0.6]), np.array([0.0, 0.1]), np.zeros(2)), [NAN, 0.2])


def test_an_index_beyond_every_account_is_not_continued() -> None:
    assert index_of(1e12 - 1.0, -0.5).tolist() == [1.0, 1e12, 5e11]
    assert_array_equal(index_of(1e12, -0.5), [1.0, NAN, NAN])
    assert_array_equal(index_of(*[1e200] * 2, -1.0), [1.0, NAN, NAN, NAN])


def test_flows_do_not_count_as_returns() -> None:
    random = np.random.default_rng(9)
    returns, flow = random.normal(0.0, 0.01, 50), random.normal(0.0, 100.0, 50)
    equity, pnl = np.full(50, 1e5), np.zeros(50)
    for day in range(1, 50):
        pnl[day] = returns[day] * (equity[day - 1] + flow[day])
        equity[day] = equity[day - 1] + flow[day] + pnl[day]
    assert_allclose(snapshot_returns(equity, pnl, flow)[1:], returns[1:], rtol=1e-10)


@given(DAILY)
def test_the_index_is_the_product_of_the_returns(values: list[float]) -> None:
    found = index_of(*values)
    assert_allclose(found, np.cumprod([1.0, *(1 + value for value in values)]), rtol=1e-12)


def test_a_broken_chain_is_not_continued() -> None:
    assert_allclose(index_of(0.1, NAN, 0.1), [1.0, 1.1, NAN, NAN])
    assert_allclose(index_of(-1.0, 0.5, 0.5), [1.0, 0.0, NAN, NAN])
    assert_allclose(index_of(-1.2, 0.5), [1.0, -0.2, NAN])
    assert index_of().tolist() == [1.0]
    assert growth_index(np.zeros(0)).tolist() == []


@given(DAILY)
def test_drawdowns_are_those_of_pandas(values: list[float]) -> None:
    index = index_of(*values)
    falls = pd.Series(index) / pd.Series(index).cummax() - 1
    assert_allclose(drawdowns(index), falls, rtol=1e-12, atol=1e-15)
    deepest, now = maximum_drawdown(index), current_drawdown(index)
    assert (deepest.depth, now.depth) == (falls.min(), falls.iloc[-1])
    assert (deepest.place, now.place) == (int(falls.argmin()), len(falls) - 1)
    for found in (deepest, now):
        assert index[found.peak] == index[: found.place + 1].max()
        assert found.depth == pytest.approx(index[found.place] / index[found.peak] - 1, abs=1e-15)


def test_drawdowns_by_hand() -> None:
    # 1, 2, 1, 1.5, 2, 1.5: half from the first peak, a quarter from the second, which is as high.
    index = index_of(1.0, -0.5, 0.5, 1 / 3, -0.25)
    deepest, now = maximum_drawdown(index), current_drawdown(index)
    assert (deepest.depth, deepest.peak, deepest.place) == (-0.5, 1, 2)
    assert (now.depth, now.peak, now.place) == (-0.25, 4, 5)
    rising = maximum_drawdown(index_of(0.1, 0.1))
    assert (rising.depth, rising.peak, rising.place) == (0.0, 0, 0)


def test_a_year_is_the_least_that_is_annualized() -> None:
    assert annualized_return(0.21, 504) == pytest.approx(0.1)
    assert annualized_return(0.1, 252) == pytest.approx(0.1)
    assert annualized_return(-1.0, 252) == -1.0
    assert annualized_return(0.1, 251) is None
    assert annualized_return(-1.5, 504) is None


def test_relative_figures_are_those_of_statsmodels() -> None:
    benchmark = random_returns(seed=1)
    returns = 0.8 * benchmark + random_returns(seed=2)
    returns[[0, 5, 9]], benchmark[[0, 7]] = NAN, NAN
    table = pd.DataFrame({"own": returns, "other": benchmark}).dropna()
    fitted = sm.OLS(table["own"], sm.add_constant(table["other"])).fit()
    found = relative_performance(returns, benchmark)
    assert found is not None
    assert found.beta == pytest.approx(fitted.params["other"], rel=1e-10)
    assert found.correlation == pytest.approx(table.corr().iloc[0, 1], rel=1e-10)
    assert found.tracking_error == pytest.approx((table["own"] - table["other"]).std() * np.sqrt(252), rel=1e-10)
    assert joint_observations(returns, benchmark).tolist() == table.index.tolist()
    assert annual_volatility(returns) == pytest.approx(pd.Series(returns).std() * np.sqrt(252), rel=1e-12)


@pytest.mark.parametrize(("times", "beta"), [(1.0, 1.0), (-1.0, -1.0), (2.0, 2.0), (0.5, 0.5)])
def test_what_holds_the_benchmark_alone(times: float, beta: float) -> None:
    benchmark = random_returns()
    found = relative_performance(times * benchmark, benchmark)
    assert found is not None
    assert found.beta == pytest.approx(beta, rel=1e-12)
    assert found.correlation == pytest.approx(np.sign(times), rel=1e-12)
    expected = abs(times - 1) * (annual_volatility(benchmark) or 0)
    assert found.tracking_error == pytest.approx(expected, rel=1e-12, abs=1e-18)


def test_rounding_takes_no_correlation_beyond_one() -> None:
    for seed in range(100):
        returns = random_returns(40, seed)
        for times in (0.3, -0.3):
            found = relative_performance(times * returns, returns)
            assert found is not None
            assert found.correlation is not None
            assert -1.0 <= found.correlation <= 1.0


def test_too_few_and_constant_observations() -> None:
    returns = random_returns(31)
    returns[0] = NAN
    assert relative_performance(returns, returns) is not None
    assert annual_volatility(returns) is not None
    returns[1] = NAN
    assert relative_performance(returns, returns) is None
    assert annual_volatility(returns) is None
    cash = np.full(31, 0.0)
    idle = relative_performance(cash, random_returns(31))
    assert idle is not None
    assert (idle.beta, idle.correlation) == (0.0, None)
    flat = relative_performance(random_returns(31), cash)
    assert flat is not None
    assert (flat.beta, flat.correlation) == (None, None)


def test_parts_link_to_the_whole() -> None:
    returns = random_returns()
    whole, first, second = index_of(*returns), index_of(*returns[:100]), index_of(*returns[100:])
    assert first[-1] * second[-1] == pytest.approx(whole[-1], rel=1e-12)
    assert_array_equal(whole[:101], first)
