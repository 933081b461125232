"""Stress tests against the formulas in plain Python, and what must hold of them on real prices."""

import os
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.covariance import factor_covariances
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.quant.regression import estimate_exposures
from sigmasight_assets.quant.returns import simple_returns
from sigmasight_assets.quant.stress import RATES, RateModel, StressTable, sensitivities, shocks
from tests.quant.reference import random_market
from tests.quant.stress_oracle import (
    FUND_OF,
    SCENARIOS,
    correlated_moves,
    covariance_of,
    direct_moves,
    impact,
)

IDS = tuple(SCENARIOS)
HISTORICAL = ("financial_crisis_2008", "covid_crash_2020", "dotcom_crash_2000")
# Rising yields, falling yields, and a crash with its rebound.
DAYS = ("2022-06-16", "2023-10-27", "2025-07-31")


def given(scenarios: dict[str, dict[str, float]]) -> FloatArray:
    """Scenarios as returns (N, 8)."""
    rows = np.full((len(scenarios), len(FUND_OF)), np.nan)
    for row, scenario in zip(rows, scenarios.values(), strict=True):
        for factor, shock in scenario.items():
            row[list(FUND_OF).index(factor)] = shock
    rows[:, RATES] = [RateModel().fund_return(points / 10_000) for points in rows[:, RATES].tolist()]
    return rows


def assert_as_in_plain_python(betas: FloatArray, spy: int, matrix: FloatArray, some: list[int]) -> None:
    """Every scenario's impact on some of the symbols."""
    table = StressTable.of(sensitivities(betas, spy), shocks(given(SCENARIOS), matrix))
    covariance = covariance_of(matrix)
    by_factor = [dict(zip(FUND_OF, row, strict=True)) for row in betas[:, : len(FUND_OF)].tolist()]
    for place, scenario in enumerate(SCENARIOS.values()):
        for moves, found in (
            (direct_moves(scenario, covariance), table.direct),
            (correlated_moves(scenario, covariance), table.correlated),
        ):
            expected = [float(impact(moves, by_factor[row], by_factor[spy])) for row in some]
            np.testing.assert_allclose(found[some, place], expected, rtol=1e-9, atol=1e-12)


def test_equal_to_plain_python() -> None:
    random = np.random.default_rng(11)
    funds = random_market(seed=10, sessions=260).factor_returns
    matrix = factor_covariances(funds, rows=np.array([259]))[0][0]
    betas = random.normal(0.4, 1.2, (60, 12))
    assert_as_in_plain_python(betas, 17, matrix, list(range(60)))


@lru_cache(maxsize=1)
def universe() -> tuple[pd.Index, list[str], FloatArray]:
    """Sessions, symbols and adjusted closes of the whole recorded market; skips the test where there is none."""
    default = Path(__file__).parents[3] / "shared" / "market"
    path = Path(os.environ.get("SIGMASIGHT_TEST_MARKET", default)) / "prices.parquet"
    if not path.exists():
        pytest.skip(f"no recorded market at {path} (SIGMASIGHT_TEST_MARKET)")
    bars = pd.read_parquet(path, columns=["symbol", "price_date", "adj_close"])
    table = bars.pivot_table(index="price_date", columns="symbol", values="adj_close")
    table = table[table["SPY"].notna()]
    return table.index.astype(str), list(table.columns), table.to_numpy(dtype=np.float64)


@cache
def stressed(day: str) -> tuple[StressTable, list[str], FloatArray, FloatArray]:
    """All scenarios at a day of real prices; symbols, betas and covariance they rest on."""
    days, symbols, closes = universe()
    row = days.get_loc(day)
    returns = simple_returns(closes)
    funds = returns[:, [symbols.index(fund) for fund in FACTOR_ETFS]]
    own = np.array([FACTOR_ETFS.index(symbol) if symbol in FACTOR_ETFS else -1 for symbol in symbols])
    found = estimate_exposures(returns, funds, rows=np.array([row]), priced=np.isfinite(closes), own=own)
    betas = np.column_stack([found.market.beta[0], found.rates.beta[0], found.ridge.beta[0]])
    matrix = factor_covariances(funds, rows=np.array([row]))[0][0]
    table = StressTable.of(sensitivities(betas, symbols.index("SPY")), shocks(given(SCENARIOS), matrix))
    return table, symbols, betas, matrix


def impacts(day: str, scenario: str) -> FloatArray:
    return stressed(day)[0].correlated[:, IDS.index(scenario)]


@pytest.mark.parametrize("day", DAYS)
def test_equal_to_plain_python_on_real_prices(day: str) -> None:
    _, symbols, betas, matrix = stressed(day)
    some = [symbols.index(symbol) for symbol in ("AAPL", "NVDA", "XOM", "JPM", "SPY", "TLT", "IWM", "CVNA")]
    assert_as_in_plain_python(betas, symbols.index("SPY"), matrix, some)


@pytest.mark.parametrize("day", DAYS)
def test_the_impact_on_spy_is_the_market_shock_exactly(day: str) -> None:
    table, symbols, _, _ = stressed(day)
    for place, scenario in enumerate(SCENARIOS.values()):
        if "Rates" not in scenario:
            assert table.correlated[symbols.index("SPY"), place] == scenario.get("Market", 0.0)


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("scenario", HISTORICAL)
def test_every_historical_crash_costs_spy_and_the_average_symbol(day: str, scenario: str) -> None:
    found = impacts(day, scenario)
    assert np.isfinite(found).sum() > 500
    assert found[stressed(day)[1].index("SPY")] < -0.3
    assert np.nanmean(found) < 0.0


@pytest.mark.parametrize("day", DAYS)
def test_a_hundred_basis_points_cost_a_holder_of_tlt_15_percent(day: str) -> None:
    place = stressed(day)[1].index("TLT")
    assert impacts(day, "rates_up_100bp")[place] == pytest.approx(-0.1465, abs=1e-12)
    assert impacts(day, "rates_down_100bp")[place] == pytest.approx(0.1835, abs=1e-12)


@pytest.mark.parametrize("day", DAYS)
def test_each_style_fund_goes_the_way_of_its_own_shock(day: str) -> None:
    """By how much depends on the penalty of the regression."""
    table, symbols, _, matrix = stressed(day)
    for factor in ("Value", "Growth", "Size"):
        moves = shocks(given({"up": {factor: 0.1}}), matrix)
        up = StressTable.of(table.sensitivities, moves).correlated[symbols.index(FUND_OF[factor]), 0]
        assert 0.03 < up < 0.15
