from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.metrics import SymbolMetrics, data_quality_score, symbol_metrics
from tests.quant.reference import real_prices

NO_ANCHORS = np.full((1, 5), -1)


def random_bars(*, sessions: int = 300, symbols: int = 5) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Close, adjusted close and volume with gaps."""
    random = np.random.default_rng(1)
    close = 50.0 * np.exp(random.normal(0.0, 0.02, (sessions, symbols)).cumsum(axis=0))
    close[random.random(close.shape) < 0.02] = np.nan
    adj_close = close * np.linspace(0.9, 1.0, sessions)[:, None]
    volume = random.integers(0, 10**6, close.shape).astype(np.float64)
    return close, adj_close, volume


def pandas_metrics(close: FloatArray, adj_close: FloatArray, volume: FloatArray) -> dict[str, pd.DataFrame]:
    """The same figures for every session, anchors apart."""
    prices = pd.DataFrame(close)
    returns = pd.DataFrame(adj_close).pct_change(fill_method=None)
    return {
        "return_1d": returns,
        "volatility_21d": returns.rolling(21).std() * np.sqrt(252),
        "volatility_63d": returns.rolling(63).std() * np.sqrt(252),
        "high_52w": prices.rolling(252, min_periods=1).max().where(prices.notna()),
        "low_52w": prices.rolling(252, min_periods=1).min().where(prices.notna()),
        "dollar_volume_21d": (prices * pd.DataFrame(volume)).rolling(21).mean(),
        "missing_returns_21d": 21 - returns.rolling(21, min_periods=0).count(),
    }


def assert_equal_to_pandas(close: FloatArray, adj_close: FloatArray, volume: FloatArray, rows: list[int]) -> None:
    anchors = np.repeat(NO_ANCHORS, len(rows), axis=0)
    metrics = symbol_metrics(close, adj_close, volume, rows=np.array(rows), anchors=anchors)
    for name, expected in pandas_metrics(close, adj_close, volume).items():
        values = expected.to_numpy()[rows]
        # Rolling sums of pandas carry rounding from earlier windows.
        assert_allclose(getattr(metrics, name), values, rtol=1e-9, atol=1e-14, err_msg=name)


def test_equal_to_pandas_on_random_bars() -> None:
    assert_equal_to_pandas(*random_bars(), rows=[0, 1, 19, 20, 21, 62, 63, 64, 200, 251, 252, 298, 299])


def test_equal_to_pandas_on_real_bars() -> None:
    bars = real_prices()
    # CNC has a gap of three sessions, GEV a late start; rows are sessions since the market as a whole has no gap.
    tables = [
        bars.pivot_table(index="price_date", columns="symbol", values=name)[["CNC", "GEV", "SPY", "VTI"]]
        for name in ("close", "adj_close", "volume")
    ]
    assert tables[0].isna().to_numpy().sum() > 800
    close, adj_close, volume = (table.to_numpy(dtype=np.float64) for table in tables)
    sessions = [str(day) for day in tables[0].index]
    days = ["2024-01-30", "2024-02-01", "2024-02-05", "2024-03-06", "2024-05-10", "2025-07-31"]
    assert_equal_to_pandas(close, adj_close, volume, rows=[sessions.index(day) for day in days])


def test_returns_since_the_anchors_need_both_ends() -> None:
    adj_close = np.array([[10.0, 10.0], [11.0, np.nan], [12.0, 12.0], [0.0, 13.0], [15.0, 14.0]])
    rows = np.array([2, 4])
    anchors = np.array([[0, 1, 2, -1, -1], [0, 1, 2, 3, -1]])
    metrics = symbol_metrics(adj_close, adj_close, np.ones((5, 2)), rows=rows, anchors=anchors)
    since = [getattr(metrics, name) for name in ("return_mtd", "return_ytd", "return_1m", "return_3m", "return_1y")]
    expected = [
        [[12 / 10 - 1, 12 / 10 - 1], [15 / 10 - 1, 14 / 10 - 1]],
        [[12 / 11 - 1, np.nan], [15 / 11 - 1, np.nan]],
        [[0.0, 0.0], [15 / 12 - 1, 14 / 12 - 1]],
        [[np.nan, np.nan], [np.nan, 14 / 13 - 1]],
        [[np.nan, np.nan], [np.nan, np.nan]],
    ]
    assert_allclose(since, expected, rtol=1e-14, atol=1e-15)


def test_total_returns_come_from_adjusted_and_ranges_from_traded_prices() -> None:
    close = np.full((30, 1), 20.0)
    adj_close = np.linspace(10.0, 20.0, 30)[:, None]
    metrics = symbol_metrics(
        close, adj_close, np.full((30, 1), 3.0), rows=np.array([29]), anchors=np.zeros((1, 5), int)
    )
    assert metrics.return_mtd[0, 0] == 1.0
    assert [metrics.high_52w[0, 0], metrics.low_52w[0, 0]] == [20.0, 20.0]
    assert metrics.dollar_volume_21d[0, 0] == 60.0


def test_a_session_without_a_close_has_no_range_and_a_zero_price_is_none() -> None:
    close = np.array([[5.0, 5.0], [7.0, 7.0], [np.nan, 0.0], [6.0, 6.0]])
    anchors = np.repeat(NO_ANCHORS, 2, axis=0)
    metrics = symbol_metrics(close, close, np.ones((4, 2)), rows=np.array([2, 3]), anchors=anchors)
    assert_array_equal(metrics.high_52w, [[np.nan, np.nan], [7.0, 7.0]])
    assert_array_equal(metrics.low_52w, [[np.nan, np.nan], [5.0, 5.0]])
    assert_array_equal(metrics.missing_returns_21d, [[20, 20], [20, 20]])
    assert metrics.missing_returns_21d.dtype == np.int64


def test_a_symbol_never_priced_has_only_missing_figures() -> None:
    nothing = np.full((260, 1), np.nan)
    metrics = symbol_metrics(nothing, nothing, nothing, rows=np.array([259]), anchors=np.zeros((1, 5), dtype=np.int64))
    for field in fields(SymbolMetrics):
        if field.name != "missing_returns_21d":
            assert np.isnan(getattr(metrics, field.name)).all(), field.name
    assert metrics.missing_returns_21d[0, 0] == 21


@pytest.mark.parametrize(
    ("priced", "missing", "betas", "profile", "score"),
    [
        (True, 0, True, True, 100),
        (False, 0, True, True, 60),
        (True, 1, True, True, 80),
        (True, 0, False, True, 80),
        (True, 0, True, False, 80),
        (False, 21, False, False, 0),
    ],
)
def test_the_score_adds_what_is_there(*, priced: bool, missing: int, betas: bool, profile: bool, score: int) -> None:
    result = data_quality_score(
        priced=np.array([[priced]]),
        missing_returns_21d=np.array([[missing]]),
        has_all_betas=np.array([[betas]]),
        has_fresh_profile=np.array([[profile]]),
    )
    assert result.tolist() == [[score]]
