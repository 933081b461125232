import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.quant.returns import present_prices, simple_returns
from tests.quant.reference import real_prices


def test_a_missing_price_takes_both_returns_that_touch_it() -> None:
    prices = np.array([[0.5], [0.55], [np.nan], [0.6], [0.63]])
    assert_allclose(simple_returns(prices)[:, 0], [np.nan, 0.1, np.nan, np.nan, 0.05], rtol=1e-14)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0, -0.0, -5.0])
def test_a_price_that_is_not_positive_and_finite_is_missing(bad: float) -> None:
    prices = np.array([[100.0, 50.0], [bad, 51.0], [100.0, 52.0]])
    assert_array_equal(np.isnan(present_prices(prices)), [[False, False], [True, False], [False, False]])
    assert_array_equal(np.isnan(simple_returns(prices)), [[True, True], [True, False], [True, False]])


def test_equal_to_pandas_on_real_prices() -> None:
    prices = real_prices().pivot_table(index="price_date", columns="symbol", values="adj_close")
    expected = prices.pct_change(fill_method=None).to_numpy()
    assert np.isnan(expected).sum() > 800
    assert_allclose(simple_returns(prices.to_numpy()), expected, rtol=1e-13, atol=1e-16)


@given(st.integers(0, 4), st.integers(0, 3))
def test_the_shape_is_kept(sessions: int, symbols: int) -> None:
    assert simple_returns(np.ones((sessions, symbols))).shape == (sessions, symbols)


def test_the_argument_is_left_as_it_was() -> None:
    prices = np.array([[1.0], [-2.0], [3.0]])
    simple_returns(prices)
    assert_array_equal(prices, [[1.0], [-2.0], [3.0]])


def test_a_series_with_a_hole_is_not_bridged() -> None:
    series = pd.Series([10.0, np.nan, 12.0]).to_numpy()[:, None]
    assert np.isnan(simple_returns(series)).all()
