"""Volatility figures against pandas and statsmodels, and what is known without computing."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.volatility import (
    NEEDED,
    expected_volatility,
    percentile,
    rolling_volatility,
    trend,
    volatility,
)


def clustered_returns(count: int, seed: int = 3) -> FloatArray:
    """Returns with quiet and wild times, as in a GARCH process."""
    random = np.random.default_rng(seed)
    values, variance = np.zeros(count), 1e-4
    for place in range(count):
        values[place] = np.sqrt(variance) * random.normal()
        variance = 2e-6 + 0.1 * values[place] ** 2 + 0.88 * variance
    return values


def statsmodels_forecast(returns: FloatArray) -> float:
    """The forecast row by row with pandas means and OLS of statsmodels."""
    squares = pd.Series(returns) ** 2
    table = pd.DataFrame({f"last_{window}": squares.rolling(window).mean() for window in (1, 5, 21)})
    table["ahead"] = [squares[place + 1 : place + 22].mean() for place in squares.index]
    table.loc[len(table) - 21 :, "ahead"] = np.nan
    rows = table.dropna().tail(252)
    names = ["last_1", "last_5", "last_21"]
    fitted = sm.OLS(rows["ahead"], sm.add_constant(rows[names])).fit()
    newest = sm.add_constant(table[names], has_constant="add").tail(1)
    return float(np.sqrt(252 * max(float(fitted.predict(newest).iloc[0]), 0.0)))


@pytest.mark.parametrize("count", [104, 105, 200, 292, 293])
@pytest.mark.parametrize("seed", range(5))
def test_the_forecast_is_that_of_statsmodels(count: int, seed: int) -> None:
    returns = clustered_returns(count, seed)
    assert expected_volatility(returns) == pytest.approx(statsmodels_forecast(returns), rel=1e-9)


def test_rows_of_the_forecast_are_at_most_a_year_old() -> None:
    returns = clustered_returns(400)
    older = returns.copy()
    older[: 400 - 293] *= 10
    assert expected_volatility(older) == pytest.approx(expected_volatility(returns), rel=1e-9)


def test_a_forecast_below_zero_is_zero() -> None:
    returns = clustered_returns(150, seed=0)
    returns[-1] = 1.0
    squares = pd.Series(returns) ** 2
    features = np.column_stack([np.ones(150), *(squares.rolling(window).mean() for window in (1, 5, 21))])
    ahead = [squares[place + 1 : place + 22].mean() for place in range(20, 129)]
    assert features[-1] @ np.linalg.lstsq(features[20:129], ahead)[0] < -0.1
    assert expected_volatility(returns) == 0.0


def test_rolling_figures_are_those_of_pandas() -> None:
    returns = clustered_returns(293)
    rolling = pd.Series(returns).rolling(21).std() * np.sqrt(252)
    found = volatility(returns)
    assert found.realized_21 == pytest.approx(rolling.iloc[-1], rel=1e-12)
    assert found.realized_63 == pytest.approx(pd.Series(returns[-63:]).std() * np.sqrt(252), rel=1e-12)
    assert found.percentile == (rolling.tail(252) < rolling.iloc[-1]).mean()
    slope = np.polyfit(np.arange(21), rolling.tail(21), 1)[0]
    assert found.trend is not None
    assert found.trend.slope == pytest.approx(slope, rel=1e-9)
    assert rolling_volatility(returns) == pytest.approx(rolling.dropna().to_numpy(), rel=1e-12)


@pytest.mark.parametrize(
    ("change", "direction"), [(0.11, "rising"), (-0.11, "falling"), (0.09, "stable"), (-0.09, "stable"), (0, "stable")]
)
def test_a_trend_is_a_move_beyond_a_tenth_of_the_mean(change: float, direction: str) -> None:
    values = 0.2 * (1 + change * np.arange(-10, 11) / 21)
    found = trend(values)
    assert found.direction == direction
    assert found.slope * 21 == pytest.approx(0.2 * change)


def test_the_percentile_is_the_share_below() -> None:
    assert percentile(np.array([0.1, 0.3, 0.2, 0.2])) == 0.25
    assert percentile(np.array([0.5, 0.5])) == 0.0


@pytest.mark.parametrize("name", NEEDED)
def test_each_figure_is_there_from_its_number_of_returns_on(name: str) -> None:
    returns = clustered_returns(293)
    assert getattr(volatility(returns[: NEEDED[name] - 1]), name) is None
    assert getattr(volatility(returns[: NEEDED[name]]), name) is not None


def test_needs() -> None:
    assert NEEDED == {"realized_21": 21, "realized_63": 63, "expected_21": 104, "trend": 41, "percentile": 272}
    with pytest.raises(ValueError, match="it needs 104"):
        expected_volatility(np.zeros(103))


def test_a_mirror_book_is_as_volatile_and_a_weight_scales() -> None:
    returns = clustered_returns(293)
    found = volatility(returns)
    assert volatility(-returns) == found
    scaled = volatility(returns * 0.3)
    assert scaled.expected_21 == pytest.approx(0.3 * (found.expected_21 or 0), rel=1e-12)
    assert scaled.realized_21 == pytest.approx(0.3 * (found.realized_21 or 0), rel=1e-12)
    assert scaled.percentile == found.percentile


def test_what_never_moves_has_no_volatility() -> None:
    found = volatility(np.zeros(293))
    assert (found.realized_21, found.realized_63, found.expected_21, found.percentile) == (0, 0, 0, 0)
    assert found.trend is not None
    assert found.trend.direction == "stable"
