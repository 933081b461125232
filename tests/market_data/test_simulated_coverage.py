"""The 95 % intervals of the estimates hold the true betas of the simulated market 94 to 96 % of the time.

Dividends and splits are on, bars are missing, and stocks are halted. Intervals of one window share the returns of the
funds, so their verdicts hang together: worlds of several seeds and windows that do not overlap make enough independent
ones. The shares found have a standard error of 0.3 % at most.
"""

from collections import defaultdict

import numpy as np
import pytest
from scipy import stats

from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS
from sigmasight_assets.quant.ols import OlsEstimates
from sigmasight_assets.quant.regression import LONGEST_WINDOW, estimate_exposures
from sigmasight_assets.sessions import SessionCalendar
from tests.market_data.dense import Floats, fetch_dense

WORLDS = range(24)
# Quiet stocks and others, so that all that can happen to bars does.
STOCKS = slice(41, 81)
SESSIONS = 5_280
FACTORS_TESTED = {factor.name: column for column, factor in enumerate(FACTORS) if factor.estimator == "ols"}


def covered(estimates: OlsEstimates, betas: Floats) -> Floats:
    """Whether each interval that there is holds the true beta of its column, as 0 or 1."""
    present = np.isfinite(estimates.std_err)
    half_width = stats.t.ppf(0.975, np.maximum(estimates.n_obs, 3) - 2) * estimates.std_err
    holds: Floats = (np.abs(estimates.raw_beta - betas) <= half_width)[present].astype(np.float64)
    return holds


@pytest.fixture(scope="module")
def shares(calendar: SessionCalendar) -> dict[str, float]:
    """The share of the intervals that hold the true beta, by factor."""
    verdicts: dict[str, list[Floats]] = defaultdict(list)
    for seed in WORLDS:
        market = SimulatedMarket(calendar, stocks=STOCKS.stop, seed=seed)
        listings = market.listings()[len(FACTOR_ETFS) :]
        stocks = [listing.symbol for listing in listings[STOCKS]]
        [adjusted] = fetch_dense(market, calendar, [*FACTOR_ETFS, *stocks], "adj_close_price", start=0, stop=SESSIONS)
        factors, returns = np.split(adjusted[1:] / adjusted[:-1] - 1, [len(FACTOR_ETFS)], axis=1)
        exposures = estimate_exposures(
            returns,
            factors,
            rows=np.arange(LONGEST_WINDOW - 1, len(returns), LONGEST_WINDOW),
            priced=np.isfinite(adjusted[1:, len(FACTOR_ETFS) :]),
            own=np.full(len(stocks), -1),
        )
        tables = (exposures.market, exposures.rates, *exposures.spreads)
        betas = market.true_betas(stocks)
        for (name, column), table in zip(FACTORS_TESTED.items(), tables, strict=True):
            verdicts[name].append(covered(table, betas[:, column]))
    assert all(sum(map(len, parts)) > 20_000 for parts in verdicts.values())
    return {name: float(np.concatenate(parts).mean()) for name, parts in verdicts.items()}


@pytest.mark.parametrize("factor", list(FACTORS_TESTED))
def test_intervals_hold_the_true_beta(shares: dict[str, float], factor: str) -> None:
    assert 0.94 <= shares[factor] <= 0.96
