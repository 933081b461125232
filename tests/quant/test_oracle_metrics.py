"""The calendar returns of every symbol against date arithmetic and look-ups of pandas, over eleven years."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sigmasight_assets.orchestration.symbol_window import return_anchors
from sigmasight_assets.quant.arrays import DateArray, FloatArray
from sigmasight_assets.quant.metrics import symbol_metrics
from sigmasight_assets.sessions import exchange_calendar
from tests.quant.reference import real_prices

FIRST, LAST = date(2019, 12, 2), date(2030, 12, 31)


@pytest.fixture(scope="module")
def sessions() -> DateArray:
    calendar = exchange_calendar()
    return calendar.sessions[calendar.index(FIRST) : calendar.index(LAST) + 1]


def pandas_returns(adj_close: FloatArray, sessions: DateArray) -> dict[str, FloatArray]:
    """Price over the price at the last session on or before each base date, less 1."""
    prices = pd.DataFrame(adj_close, index=pd.DatetimeIndex(sessions)).where(lambda price: price > 0)
    index = prices.index
    bases = {
        "return_mtd": index.to_period("M").start_time - pd.DateOffset(days=1),
        "return_ytd": index.to_period("Y").start_time - pd.DateOffset(days=1),
        "return_1m": index - pd.DateOffset(months=1),
        "return_3m": index - pd.DateOffset(months=3),
        "return_1y": index - pd.DateOffset(years=1),
    }
    answer = {}
    for name, base in bases.items():
        before = prices.iloc[index.get_indexer(base, method="ffill")].to_numpy()
        before = np.where((base >= index[0])[:, None], before, np.nan)
        answer[name] = prices.to_numpy() / before - 1.0
    return answer


def assert_equal_to_pandas(adj_close: FloatArray, sessions: DateArray) -> None:
    rows = np.arange(len(sessions))
    nothing = np.full(adj_close.shape, np.nan)
    metrics = symbol_metrics(nothing, adj_close, nothing, rows=rows, anchors=return_anchors(sessions, rows))
    for name, expected in pandas_returns(adj_close, sessions).items():
        assert_allclose(getattr(metrics, name), expected, rtol=1e-14, atol=1e-15, err_msg=name)


def test_calendar_returns_of_every_session(sessions: DateArray) -> None:
    random = np.random.default_rng(40)
    prices = np.cumprod(1.0 + random.normal(3e-4, 0.015, (len(sessions), 6)), axis=0, dtype=np.float64)
    prices[random.random(prices.shape) < 0.05] = np.nan
    prices[random.random(prices.shape) < 0.01] = 0.0
    assert len(sessions) > 2_700
    assert_equal_to_pandas(prices, sessions)


def test_calendar_returns_of_real_prices() -> None:
    table = real_prices().pivot_table(index="price_date", columns="symbol", values="adj_close", dropna=False)
    table = table[table["SPY"].notna()]
    days = np.array([np.datetime64(day, "D") for day in table.index])
    assert_equal_to_pandas(table.to_numpy(dtype=np.float64), days)
