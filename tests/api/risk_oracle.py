"""Volatility, correlation, risk and performance from the tables, with pandas and statsmodels and day by day."""

import itertools
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import sqlalchemy as sa
import statsmodels.api as sm

from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database

OWN = "portfolios.public_id = :portfolio AND investment_class = 'PUBLIC' AND exit_date IS NULL"


@dataclass(frozen=True)
class Gains:
    """What a book would have gained day by day, in USD; the symbols in it and its equity."""

    values: pd.Series
    symbols: list[str]
    equity: float

    @property
    def returns(self) -> pd.Series:
        return self.values / self.equity


def daily_returns(database: Database, *, as_of: date, sessions: int) -> pd.DataFrame:
    """Returns of consecutive sessions by symbol; nothing is filled."""
    calendar = exchange_calendar()
    wanted = calendar.between(calendar.offset(as_of, -sessions), as_of)
    bars = _table(database, "SELECT symbol, price_date, adj_close_price FROM symbol_prices_daily")
    prices = bars.pivot_table(index="price_date", columns="symbol", values="adj_close_price").reindex(wanted)
    return prices.pct_change(fill_method=None).iloc[1:]


def market_values(database: Database, portfolio: UUID, as_of: date) -> pd.Series:
    """Signed value by symbol at the published closes, USD; for lots without splits."""
    query = (
        "SELECT symbol, sum(quantity * close_price)::float AS value "
        "FROM positions JOIN portfolios USING (portfolio_id) "
        f"JOIN symbol_daily_metrics USING (symbol) WHERE {OWN} AND metrics_date = :as_of GROUP BY symbol"
    )
    return _table(database, query, portfolio=portfolio, as_of=as_of).set_index("symbol")["value"]


def entry_values(database: Database, portfolio: UUID) -> pd.Series:
    """Signed cost by symbol, USD; for lots without splits."""
    query = (
        "SELECT symbol, sum(quantity * entry_price)::float AS value FROM positions "
        f"JOIN portfolios USING (portfolio_id) WHERE {OWN} GROUP BY symbol"
    )
    return _table(database, query, portfolio=portfolio).set_index("symbol")["value"]


def book_gains(database: Database, values: pd.Series, *, equity: float, as_of: date) -> Gains:
    """The series of a book: symbols of 63 returns and more, days of 95 % and more, weights of those scaled up."""
    returns = daily_returns(database, as_of=as_of, sessions=293)
    kept = [symbol for symbol in values.index if symbol in returns and returns[symbol].count() >= 63]
    gross = values[kept].abs().sum()
    gains = {}
    for session, row in returns[kept].iterrows():
        known = row.dropna()
        held = values[known.index]
        if gross - held.abs().sum() <= 0.05 * gross:
            gains[session] = (held * known).sum() * gross / held.abs().sum()
    return Gains(pd.Series(gains), kept, equity)


def volatility_figures(returns: pd.Series) -> dict[str, float]:
    """The five figures of a series that is long enough for all."""
    rolling = returns.rolling(21).std() * np.sqrt(252)
    squares = (returns**2).reset_index(drop=True)
    table = pd.DataFrame({f"last_{window}": squares.rolling(window).mean() for window in (1, 5, 21)})
    table["ahead"] = squares.rolling(21).mean().shift(-21)
    rows = table.dropna().tail(252)
    fitted = sm.OLS(rows["ahead"], sm.add_constant(rows.drop(columns="ahead"))).fit()
    newest = [1.0, *table.drop(columns="ahead").iloc[-1]]
    return {
        "realized_21": returns.tail(21).std() * np.sqrt(252),
        "realized_63": returns.tail(63).std() * np.sqrt(252),
        "expected_21": np.sqrt(252 * max(float(fitted.params @ newest), 0.0)),
        "trend_slope": np.polyfit(np.arange(21), rolling.tail(21), 1)[0],
        "percentile": float((rolling.tail(252) < rolling.iloc[-1]).mean()),
    }


def trend(returns: pd.Series) -> str:
    """Where rolling volatility is heading."""
    rolling = (returns.rolling(21).std() * np.sqrt(252)).tail(21)
    slope = np.polyfit(np.arange(21), rolling, 1)[0]
    if abs(slope) * 21 <= 0.1 * rolling.mean():
        return "stable"
    return "rising" if slope > 0 else "falling"


def tail_losses(gains: pd.Series) -> dict[str, float]:
    """Losses of the last year in the unit of the gains."""
    year = gains.tail(252)
    losses = {}
    for level, tail in (("95", 0.05), ("99", 0.01)):
        quantile = year.quantile(tail)
        losses[f"value_at_risk_{level}"] = -quantile
        losses[f"expected_shortfall_{level}"] = -year[year <= quantile].mean()
    return losses


def snapshot_frame(database: Database, portfolio: UUID) -> pd.DataFrame:
    """Snapshots by session with the stored return and SPY's total return over the same sessions."""
    snapshots = _table(
        database,
        "SELECT session, daily_return FROM portfolio_snapshots JOIN portfolios USING (portfolio_id) "
        "WHERE portfolios.public_id = :portfolio ORDER BY session",
        portfolio=portfolio,
    ).set_index("session")
    first, last = snapshots.index[0], snapshots.index[-1]
    growth = 1 + daily_returns(database, as_of=last, sessions=len(exchange_calendar().between(first, last)))["SPY"]
    compounded = [
        growth[(growth.index > earlier) & (growth.index <= later)].prod(skipna=False) - 1
        for earlier, later in itertools.pairwise(snapshots.index)
    ]
    return snapshots.assign(spy=[np.nan, *compounded])


def _table(database: Database, query: str, **parameters: Any) -> pd.DataFrame:
    with database.begin() as connection:
        result = connection.execute(sa.text(query), parameters)
        return pd.DataFrame(result.fetchall(), columns=list(result.keys()))
