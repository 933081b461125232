"""The intervals that the engine publishes hold the simulated market's true betas as often as they say."""

from datetime import date

import numpy as np
import pytest
from scipy import stats

from sigmasight_assets.market_data.protocol import BarRequest
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.factors import FACTORS, Reason
from sigmasight_assets.quant.ols import OlsEstimates
from sigmasight_assets.quant.returns import simple_returns
from sigmasight_assets.sessions import exchange_calendar
from tests.quant.reference import Market, ols_tables

FIRST, LAST = date(2015, 1, 2), date(2035, 12, 31)


@pytest.fixture(scope="module")
def simulated() -> SimulatedMarket:
    return SimulatedMarket(exchange_calendar())


@pytest.fixture(scope="module")
def symbols(simulated: SimulatedMarket) -> list[str]:
    return [listing.symbol for listing in simulated.listings()]


@pytest.fixture(scope="module")
def market(simulated: SimulatedMarket, symbols: list[str]) -> Market:
    """All stocks on the eight funds, from total-return closes; NaN where the market has no bar."""
    bars = simulated.fetch_bars([BarRequest(symbol, FIRST, LAST) for symbol in symbols]).bars.to_pandas()
    closes = bars.pivot_table(index="price_date", columns="symbol", values="adj_close_price")[symbols].to_numpy()
    returns = simple_returns(closes)
    priced = np.isfinite(closes[:, 8:])
    return Market(returns[:, 8:], returns[:, :8], priced, np.full(priced.shape[1], -1))


def share_covered(table: OlsEstimates, betas: FloatArray, *, step: int) -> float:
    """Share of the 95 % intervals, of windows that do not overlap, that hold the true betas (symbols,).

    The table has a row every 90 sessions; ``step`` is the window.
    """
    rows = slice(step // 90, None, step // 90)
    known = table.reason[rows] == Reason.NONE
    assert known.mean() > 0.5
    reach = stats.t.ppf(0.975, table.n_obs[rows][known] - 2) * table.std_err[rows][known]
    return float((np.abs(table.raw_beta[rows] - betas)[known] <= reach).mean())


def test_intervals_hold_the_true_betas_95_percent_of_the_time(
    simulated: SimulatedMarket, symbols: list[str], market: Market
) -> None:
    betas = simulated.true_betas(symbols[8:])
    shares = {
        factor: share_covered(table, betas[:, FACTORS.index(factor)], step=factor.window)
        for factor, table in ols_tables(market.exposures(list(range(90, len(market.returns), 90)))).items()
    }
    singles = [share for factor, share in shares.items() if len(factor.proxies) == 1]
    spreads = [share for factor, share in shares.items() if len(factor.proxies) == 2]
    assert all(0.94 <= share <= 0.96 for share in (*singles, sum(spreads) / len(spreads))), shares
    assert 0.93 <= min(spreads) <= max(spreads) <= 0.97, shares
