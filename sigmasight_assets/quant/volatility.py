"""Volatility of a series of daily returns: realised, expected, its trend and where it stands within a year.

Source: formulas.md section 8. Volatilities are annual and dimensionless (0.2 is 20 % a year). A series (T,) is in
ascending order, without missing values: days that were dropped do not count.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.metrics import LONG_WINDOW, SESSIONS_PER_YEAR, SHORT_WINDOW

Direction: TypeAlias = Literal["rising", "falling", "stable"]

# Averages of squared returns that the forecast rests on, and its horizon, in returns.
HAR_WINDOWS = (1, 5, 21)
HORIZON = 21
MAX_ROWS = 252
MIN_ROWS = 63
TREND_VALUES = 21
# What a volatility has to move over those values, relative to their mean, to rise or fall.
TREND_THRESHOLD = 0.1

# Returns that each figure needs.
NEEDED = {
    "realized_21": SHORT_WINDOW,
    "realized_63": LONG_WINDOW,
    "expected_21": max(HAR_WINDOWS) - 1 + MIN_ROWS + HORIZON,
    "trend": SHORT_WINDOW - 1 + TREND_VALUES,
    "percentile": SHORT_WINDOW - 1 + SESSIONS_PER_YEAR,
}


@dataclass(frozen=True, slots=True)
class Trend:
    """Slope of the last 21 values of rolling volatility, a session, and what it amounts to."""

    slope: float
    direction: Direction


@dataclass(frozen=True, slots=True)
class Volatility:
    """Figures of a series; None is one that it is too short for."""

    realized_21: float | None
    realized_63: float | None
    expected_21: float | None
    trend: Trend | None
    percentile: float | None


def volatility(returns: FloatArray) -> Volatility:
    """All figures that the series (T,) is long enough for; see ``NEEDED``."""
    enough = {name: len(returns) >= count for name, count in NEEDED.items()}
    rolling = rolling_volatility(returns) if enough["realized_21"] else np.empty(0)
    return Volatility(
        realized_21=float(rolling[-1]) if enough["realized_21"] else None,
        realized_63=float(rolling_volatility(returns[-LONG_WINDOW:], LONG_WINDOW)[-1])
        if enough["realized_63"]
        else None,
        expected_21=expected_volatility(returns) if enough["expected_21"] else None,
        trend=trend(rolling[-TREND_VALUES:]) if enough["trend"] else None,
        percentile=percentile(rolling[-SESSIONS_PER_YEAR:]) if enough["percentile"] else None,
    )


def rolling_volatility(returns: FloatArray, window: int = SHORT_WINDOW) -> FloatArray:
    """Sample standard deviation x sqrt 252 of every ``window`` returns in a row, (T - window + 1,)."""
    windows = np.lib.stride_tricks.sliding_window_view(returns, window)
    values: FloatArray = windows.std(axis=1, ddof=1) * np.sqrt(SESSIONS_PER_YEAR)
    return values


def expected_volatility(returns: FloatArray) -> float:
    """Volatility expected over the next 21 returns, from the series (T,) of at least 104.

    Heterogeneous autoregression on squared returns: the mean over t+1 to t+21 on an intercept and the means over the
    last 1, 5 and 21, by least squares over the last 252 t, or as many as there are; then sqrt(252 x forecast), with
    the forecast not below 0. Source: F. Corsi, A Simple Approximate Long-Memory Model of Realized Volatility, Journal
    of Financial Econometrics 7 (2009). Raises ``ValueError`` for a shorter series.
    """
    if len(returns) < NEEDED["expected_21"]:
        raise ValueError(f"{len(returns)} returns are too few for a forecast: it needs {NEEDED['expected_21']}")
    squares = returns**2
    size = float(squares.mean())
    if size == 0:
        return 0.0
    # In units of their mean, so that least squares judges the rank of the regressors and not of their unit.
    squares /= size
    longest = max(HAR_WINDOWS)
    means = [_means(squares, window)[longest - window :] for window in HAR_WINDOWS]
    features = np.column_stack((np.ones(len(means[0])), *means))
    ahead = _means(squares, HORIZON)[longest:]
    rows = features[: len(ahead)][-MAX_ROWS:]
    coefficients = np.linalg.lstsq(rows, ahead[-MAX_ROWS:], rcond=None)[0]
    forecast = max(float(features[-1] @ coefficients), 0.0) * size
    return float(np.sqrt(SESSIONS_PER_YEAR * forecast))


def trend(values: FloatArray) -> Trend:
    """Least-squares slope of the values (N,), and whether it takes them by more than 10 % of their mean in N steps."""
    steps = np.arange(len(values)) - (len(values) - 1) / 2
    slope = float(steps @ values / (steps @ steps))
    direction: Direction = "stable"
    if abs(slope) * len(values) > TREND_THRESHOLD * values.mean():
        direction = "rising" if slope > 0 else "falling"
    return Trend(slope, direction)


def percentile(values: FloatArray) -> float:
    """Share of the values (N,) that are below the last of them, 0 to 1."""
    return float(np.mean(values < values[-1]))


def _means(values: FloatArray, window: int) -> FloatArray:
    """Mean of every ``window`` values in a row, (T - window + 1,)."""
    means: FloatArray = np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=1)
    return means
