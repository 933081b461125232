"""The same regressions as a user of the well-known libraries writes them; each takes a market and fits all of it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS, RIDGE_PENALTY, FactorDefinition

# Where `make bench` puts the packages of requirements.txt. Last, so that it adds packages and replaces none.
sys.path.append(str(Path(__file__).parents[1] / ".venv" / "contenders"))

OLS_FACTORS = tuple(factor for factor in FACTORS if factor.estimator == "ols")
RIDGE_FACTORS = tuple(factor for factor in FACTORS if factor.estimator == "ridge")


class Market(Protocol):
    """Returns (N, S), those of the eight funds (N, 8), and the rows (T,) to estimate."""

    @property
    def returns(self) -> FloatArray:
        """Daily returns of the symbols, NaN where missing."""

    @property
    def factor_returns(self) -> FloatArray:
        """Daily returns of the funds in the order of ``FACTOR_ETFS``, none missing."""

    @property
    def rows(self) -> IntArray:
        """Neighbouring sessions."""


def regressor(market: Market, factor: FactorDefinition) -> FloatArray:
    """Return of the fund, or of the first fund less that of the second, (N,)."""
    legs = [market.factor_returns[:, FACTOR_ETFS.index(proxy)] for proxy in factor.proxies]
    return legs[0] if len(legs) == 1 else legs[0] - legs[1]


def joint(market: Market) -> FloatArray:
    """The six regressors of the ridge, (N, 6)."""
    return np.stack([regressor(market, factor) for factor in RIDGE_FACTORS], axis=1)


def window_of(row: int, factor: FactorDefinition) -> slice:
    """The rows of a factor's window that ends at a row."""
    return slice(row - factor.window + 1, row + 1)


def loops(market: Market) -> dict[tuple[int, int, str], tuple[float, ...]]:
    """One ``statsmodels.OLS`` per symbol, session and factor, one scikit-learn ``Ridge`` per symbol and session."""
    import statsmodels.api as sm  # noqa: PLC0415
    from sklearn.linear_model import Ridge  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    found: dict[tuple[int, int, str], tuple[float, ...]] = {}
    series, together = {factor.name: regressor(market, factor) for factor in OLS_FACTORS}, joint(market)
    for row in market.rows.tolist():
        for symbol in range(market.returns.shape[1]):
            for factor in OLS_FACTORS:
                window = window_of(row, factor)
                x, y = series[factor.name][window], market.returns[window, symbol]
                used = np.isfinite(x) & np.isfinite(y)
                if used.sum() < factor.min_observations:
                    continue
                fit = sm.OLS(y[used], sm.add_constant(x[used])).fit()
                found[row, symbol, factor.name] = (fit.params[1], fit.rsquared, fit.bse[1], fit.pvalues[1])
            window = window_of(row, RIDGE_FACTORS[0])
            y = market.returns[window, symbol]
            used = np.isfinite(y) & np.isfinite(together[window]).all(axis=1)
            if used.sum() < RIDGE_FACTORS[0].min_observations:
                continue
            scaler = StandardScaler().fit(together[window][used])
            z = scaler.transform(together[window][used])
            model = Ridge(alpha=RIDGE_PENALTY).fit(z, y[used])
            found[row, symbol, "ridge"] = (*(model.coef_ / scaler.scale_), model.score(z, y[used]))
    return found


def sklearn_by_gap_pattern(market: Market) -> dict[tuple[int, str], FloatArray]:
    """Symbols with the same missing rows are fitted together, as targets of one model; no inference is given."""
    from sklearn.linear_model import LinearRegression, Ridge  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    found: dict[tuple[int, str], FloatArray] = {}
    series, together = {factor.name: regressor(market, factor) for factor in OLS_FACTORS}, joint(market)
    for row in market.rows.tolist():
        for window, minimum in {(factor.window, factor.min_observations) for factor in FACTORS}:
            y = market.returns[row - window + 1 : row + 1]
            inside = slice(row - window + 1, row + 1)
            factors = [factor for factor in OLS_FACTORS if factor.window == window]
            fits = {factor.name: np.full(y.shape[1], np.nan) for factor in factors}
            joint_fits = np.full((y.shape[1], len(RIDGE_FACTORS)), np.nan)
            for used, symbols in _patterns(y):
                if used.sum() < minimum:
                    continue
                targets = y[np.ix_(used, symbols)]
                for factor in factors:
                    model = LinearRegression().fit(series[factor.name][inside][used][:, None], targets)
                    fits[factor.name][symbols] = model.coef_[:, 0]
                if window == RIDGE_FACTORS[0].window:
                    scaler = StandardScaler().fit(together[inside][used])
                    ridge = Ridge(alpha=RIDGE_PENALTY).fit(scaler.transform(together[inside][used]), targets)
                    joint_fits[symbols] = ridge.coef_.reshape(len(symbols), -1) / scaler.scale_
            found |= {(row, name): values for name, values in fits.items()}
            if window == RIDGE_FACTORS[0].window:
                found[row, "ridge"] = joint_fits
    return found


def _patterns(y: FloatArray) -> Iterator[tuple[BoolArray, IntArray]]:
    known = np.isfinite(y)
    _, first, group = np.unique(np.packbits(known, axis=0), axis=1, return_index=True, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    bounds = np.searchsorted(group.ravel()[order], np.arange(len(first) + 1))
    for number, column in enumerate(first):
        yield known[:, column], order[bounds[number] : bounds[number + 1]]


def polars_ols_fits(market: Market) -> list[Any]:
    """polars-ols: grouped fits of one session, rolling ones of several; missing returns are dropped rows.

    Of one session, slopes and inference are those of the definitions; the ridge slopes are per standard deviation. The
    rolling fits do less than the others: they give coefficients only, their window is the last ``window`` returns that
    the symbol has, and not those among the last ``window`` sessions, and their ridge is not standardised, which rolling
    fits cannot do. Symbols with too few returns are fitted too.
    """
    import polars as pl  # noqa: PLC0415
    import polars_ols  # noqa: F401, PLC0415

    sessions, symbols = market.returns.shape
    columns = {factor.name: regressor(market, factor) for factor in FACTORS}
    frame = pl.DataFrame(
        {
            "symbol": np.repeat(np.arange(symbols, dtype=np.int32), sessions),
            "row": np.tile(np.arange(sessions, dtype=np.int32), symbols),
            "y": market.returns.T.ravel(),
            **{name: np.tile(values, symbols) for name, values in columns.items()},
        }
    ).filter(pl.col("y").is_not_nan())
    if len(market.rows) > 1:
        return _polars_rolling(frame, int(market.rows[0]))
    found = []
    for window in sorted({factor.window for factor in FACTORS}):
        inside = frame.filter(pl.col("row") > int(market.rows[0]) - window)
        ols = [
            pl.col("y").least_squares.ols(pl.col(factor.name), mode="statistics", add_intercept=True).alias(factor.name)
            for factor in OLS_FACTORS
            if factor.window == window
        ]
        found.append(inside.group_by("symbol").agg(ols))
        if window == RIDGE_FACTORS[0].window:
            names = [pl.col(factor.name) for factor in RIDGE_FACTORS]
            z = [((name - name.mean()) / name.std(ddof=0)).over("symbol") for name in names]
            standard = inside.with_columns(z)
            ridge = pl.col("y").least_squares.ridge(
                *names, alpha=RIDGE_PENALTY, add_intercept=True, mode="coefficients"
            )
            found.append(standard.group_by("symbol").agg(ridge.alias("ridge")))
    return found


def _polars_rolling(frame: Any, first: int) -> list[Any]:
    import polars as pl  # noqa: PLC0415

    found = []
    for factor in OLS_FACTORS:
        fit = pl.col("y").least_squares.rolling_ols(
            pl.col(factor.name),
            window_size=factor.window,
            min_periods=factor.min_observations,
            add_intercept=True,
            mode="coefficients",
        )
        found.append(frame.with_columns(fit.over("symbol").alias("fit")).filter(pl.col("row") >= first).select("fit"))
    names = [pl.col(factor.name) for factor in RIDGE_FACTORS]
    ridge = pl.col("y").least_squares.rolling_ols(
        *names,
        window_size=RIDGE_FACTORS[0].window,
        min_periods=RIDGE_FACTORS[0].min_observations,
        add_intercept=True,
        alpha=RIDGE_PENALTY,
        mode="coefficients",
    )
    found.append(frame.with_columns(ridge.over("symbol").alias("fit")).filter(pl.col("row") >= first).select("fit"))
    return found


def rolling_ols(market: Market) -> dict[tuple[int, str], Any]:
    """``RollingOLS`` per symbol and factor, with its inference, (window - 1 + T) rows; there is no rolling ridge."""
    import statsmodels.api as sm  # noqa: PLC0415
    from statsmodels.regression.rolling import RollingOLS  # noqa: PLC0415

    found: dict[tuple[int, str], Any] = {}
    for factor in OLS_FACTORS:
        needed = slice(int(market.rows[0]) - factor.window + 1, None)
        x = sm.add_constant(pd.Series(regressor(market, factor)[needed], name="x"))
        for symbol in range(market.returns.shape[1]):
            y = market.returns[needed, symbol]
            model = RollingOLS(y, x, window=factor.window, min_nobs=factor.min_observations, missing="drop")
            fit = model.fit(use_t=True)
            found[symbol, factor.name] = (fit.params, fit.rsquared, fit.bse, fit.pvalues)
    return found
