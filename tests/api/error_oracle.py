"""Standard errors of exposures from the tables, pair of positions by pair: what answers are compared with."""

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from itertools import pairwise
from math import sqrt

import numpy as np
import sqlalchemy as sa
import statsmodels.api as sm

from sigmasight_assets.sessions import exchange_calendar

# Regressors and window of the factors that have standard errors, as formulas.md section 3 has them.
REGRESSIONS = {
    "Market Beta": ("SPY", None, 90),
    "IR Beta": ("TLT", None, 90),
    "Growth-Value Spread": ("VUG", "VTV", 180),
    "Momentum Spread": ("MTUM", "SPY", 180),
    "Size Spread": ("IWM", "SPY", 180),
    "Quality Spread": ("QUAL", "SPY", 180),
}
Returns = Mapping[date, float]


def expected_std_err(
    connection: sa.Connection, factor: str, weights: Mapping[str, Fraction], *, oldest: date, as_of: date
) -> float | None:
    """Of the exposure to a factor of positions with the beta; None for ridge factors and where bars are lacking."""
    if factor not in REGRESSIONS:
        return None
    errors = {symbol: _published(connection, factor, symbol, oldest, as_of) for symbol in weights}
    residuals = {symbol: _residuals(connection, factor, symbol, as_of) for symbol in weights}
    variance = 0.0
    for one, w in weights.items():
        for other, v in weights.items():
            mine, theirs = residuals[one], residuals[other]
            if not mine or not theirs:
                return None
            joint = sum(value * theirs[day] for day, value in mine.items() if day in theirs)
            lengths = sqrt(sum(value**2 for value in mine.values()) * sum(value**2 for value in theirs.values()))
            variance += float(w * v) * errors[one] * errors[other] * joint / lengths
    return sqrt(max(variance, 0.0))


def _published(connection: sa.Connection, factor: str, symbol: str, oldest: date, as_of: date) -> float:
    error: float = connection.execute(
        sa.text(
            "SELECT std_err FROM symbol_factor_exposures WHERE symbol = :symbol AND factor = :factor "
            "AND calculation_date BETWEEN :oldest AND :as_of ORDER BY calculation_date DESC LIMIT 1"
        ),
        {"symbol": symbol, "factor": factor, "oldest": oldest, "as_of": as_of},
    ).scalar_one()
    return error


def _residuals(connection: sa.Connection, factor: str, symbol: str, as_of: date) -> dict[date, float]:
    """What the line leaves of the symbol's returns, by session; nothing where there is no line."""
    long, short, window = REGRESSIONS[factor]
    mine, factor_returns = _returns(connection, symbol), _returns(connection, long)
    if short is not None:
        less = _returns(connection, short)
        factor_returns = {day: value - less[day] for day, value in factor_returns.items() if day in less}
    calendar = exchange_calendar()
    sessions = calendar.between(calendar.offset(as_of, 1 - window), as_of)
    days = [day for day in sessions if day in mine and day in factor_returns]
    if len(days) < 3:
        return {}
    x, y = (np.array([values[day] for day in days]) for values in (factor_returns, mine))
    return dict(zip(days, sm.OLS(y, sm.add_constant(x)).fit().resid.tolist(), strict=True))


def _returns(connection: sa.Connection, symbol: str) -> Returns:
    rows = connection.execute(
        sa.text("SELECT price_date, adj_close_price FROM symbol_prices_daily WHERE symbol = :symbol"),
        {"symbol": symbol},
    )
    closes: dict[date, float] = {row.price_date: row.adj_close_price for row in rows}
    if not closes:
        return {}
    sessions = exchange_calendar().between(min(closes), max(closes))
    return {
        day: closes[day] / closes[before] - 1 for before, day in pairwise(sessions) if {before, day} <= closes.keys()
    }
