"""Markets to compute on, and the same estimates made symbol by symbol with statsmodels and scikit-learn."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS, FactorDefinition, Reason
from sigmasight_assets.quant.ols import OlsEstimates
from sigmasight_assets.quant.regression import SymbolExposures, estimate_exposures
from sigmasight_assets.quant.returns import simple_returns

REAL_SYMBOLS = ("AAPL", "CNC", "GEV", "JPM", "NVDA", "SW", "TLT", "VTI", "VTV", "XOM")
OLS_FACTORS = tuple(factor for factor in FACTORS if factor.estimator == "ols")
RIDGE_FACTORS = tuple(factor for factor in FACTORS if factor.estimator == "ridge")


@dataclass(frozen=True)
class Market:
    """Returns of symbols and factor funds, and where symbols have a price, all by session."""

    returns: FloatArray
    factor_returns: FloatArray
    priced: BoolArray
    own: IntArray

    def exposures(self, rows: list[int]) -> SymbolExposures:
        return estimate_exposures(
            self.returns, self.factor_returns, rows=np.array(rows), priced=self.priced, own=self.own
        )


def random_market(*, seed: int, sessions: int = 220, symbols: int = 40, gaps: float = 0.01) -> Market:
    """Correlated funds and symbols that load on them; 3 % of the symbols have short histories."""
    random = np.random.default_rng(seed)
    funds = random.normal(3e-4, 0.01, (sessions, 1)) + random.normal(0.0, 0.004, (sessions, len(FACTOR_ETFS)))
    returns = funds @ random.normal(0.15, 0.3, (len(FACTOR_ETFS), symbols))
    returns += random.normal(2e-4, 0.015, (sessions, symbols))
    returns[random.random(returns.shape) < gaps] = np.nan
    short = random.choice(symbols, size=max(1, round(0.03 * symbols)), replace=False)
    returns[:-70, short] = np.nan
    return Market(returns, funds, np.ones(returns.shape, dtype=np.bool_), np.full(symbols, -1))


@lru_cache(maxsize=1)
def real_prices() -> pd.DataFrame:
    """The recorded bars of a handful of symbols and the funds; skips the test where there are none."""
    default = Path(__file__).parents[3] / "shared" / "market"
    path = Path(os.environ.get("SIGMASIGHT_TEST_MARKET", default)) / "prices.parquet"
    if not path.exists():
        pytest.skip(f"no recorded market at {path} (SIGMASIGHT_TEST_MARKET)")
    wanted = sorted({*REAL_SYMBOLS, *FACTOR_ETFS})
    return pd.read_parquet(path, filters=[("symbol", "in", wanted)])


def real_market() -> tuple[Market, list[str]]:
    """Market of ``REAL_SYMBOLS`` in that order, and its sessions as ISO dates: those on which SPY has a price."""
    table = real_prices().pivot_table(index="price_date", columns="symbol", values="adj_close")
    table = table[table["SPY"].notna()]
    prices = table.reindex(columns=list(REAL_SYMBOLS)).to_numpy(dtype=np.float64)
    own = [FACTOR_ETFS.index(symbol) if symbol in FACTOR_ETFS else -1 for symbol in REAL_SYMBOLS]
    funds = simple_returns(table[list(FACTOR_ETFS)].to_numpy(dtype=np.float64))
    return Market(simple_returns(prices), funds, np.isfinite(prices), np.array(own)), [str(day) for day in table.index]


def regressor(market: Market, factor: FactorDefinition) -> FloatArray:
    legs = [market.factor_returns[:, FACTOR_ETFS.index(proxy)] for proxy in factor.proxies]
    return legs[0] if len(legs) == 1 else legs[0] - legs[1]


def aligned(
    market: Market, factors: tuple[FactorDefinition, ...], *, row: int, symbol: int
) -> tuple[FloatArray, FloatArray]:
    """The regressors and returns of one symbol's window without the rows where one of them is missing."""
    window = slice(max(0, row + 1 - factors[0].window), row + 1)
    frame = pd.DataFrame({factor.name: regressor(market, factor) for factor in factors})
    frame["symbol"] = market.returns[:, symbol]
    complete = frame[window].replace([np.inf, -np.inf], np.nan).dropna().to_numpy()
    return complete[:, :-1], complete[:, -1]


@dataclass(frozen=True)
class ReferenceOls:
    """What statsmodels gives."""

    raw_beta: float
    alpha: float
    r_squared: float
    std_err: float
    p_value: float
    n_obs: int


def fit_least_squares(x: FloatArray, y: FloatArray) -> Any:
    """Fit of y (n,) on the columns of x (n, k) and an intercept, by statsmodels."""
    return sm.OLS(y, sm.add_constant(x)).fit()


def reference_ols(market: Market, factor: FactorDefinition, *, row: int, symbol: int) -> ReferenceOls:
    x, y = aligned(market, (factor,), row=row, symbol=symbol)
    fit = fit_least_squares(x, y)
    return ReferenceOls(fit.params[1], fit.params[0], fit.rsquared, fit.bse[1], fit.pvalues[1], len(y))


def reference_ridge(
    market: Market, factors: tuple[FactorDefinition, ...], *, row: int, symbol: int
) -> tuple[FloatArray, float, int]:
    """Betas in the regressors' own units, R2 and number of rows from scikit-learn."""
    x, y = aligned(market, factors, row=row, symbol=symbol)
    model = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(x, y)
    return model[-1].coef_ / model[0].scale_, model.score(x, y), len(y)


def reference_reason(market: Market, factors: tuple[FactorDefinition, ...], *, row: int, symbol: int) -> Reason:
    """Why the regression has no value, read off its rows one after the other."""
    x, y = aligned(market, factors, row=row, symbol=symbol)
    if not market.priced[row, symbol]:
        return Reason.NO_PRICE
    if len(y) < factors[0].min_observations:
        return Reason.SHORT_HISTORY
    varies = [len(set(column)) > 1 for column in (y, *x.T)]
    return Reason.NONE if all(varies) else Reason.CONSTANT


def ols_tables(exposures: SymbolExposures) -> dict[FactorDefinition, OlsEstimates]:
    """The six least-squares tables by factor."""
    tables = (exposures.market, exposures.rates, *exposures.spreads)
    return dict(zip(OLS_FACTORS, tables, strict=True))
