"""What an account has returned: time-weighted returns of snapshots, drawdowns, and comparison with a benchmark.

Source: formulas.md sections 5 and 8. Returns are dimensionless (0.01 is 1 %), volatilities annual. The functions take
arrays over snapshots in ascending order, so those of several portfolios may be summed first; a portfolio that joins
later counts as a capital flow of its equity.
"""

from dataclasses import dataclass

import numpy as np

from sigmasight_assets.quant.arrays import FloatArray, IntArray
from sigmasight_assets.quant.metrics import SESSIONS_PER_YEAR

# Fewer observations say nothing of volatility or of a beta, as in the regressions of symbols.
MIN_OBSERVATIONS = 30
# A chain of returns on next to nothing can go beyond every number; nobody's account has grown so.
LARGEST_INDEX = 1e12


@dataclass(frozen=True, slots=True)
class Drawdown:
    """A fall below an earlier peak: share lost (0 or negative), and the places of the peak and of the value."""

    depth: float
    peak: int
    place: int


@dataclass(frozen=True, slots=True)
class Relative:
    """Returns against those of a benchmark; beta and correlation are None where one of the two does not vary."""

    tracking_error: float
    beta: float | None
    correlation: float | None


def snapshot_returns(equity: FloatArray, daily_pnl: FloatArray, capital_flow: FloatArray) -> FloatArray:
    """Time-weighted return since the previous snapshot, (N,): P&L / (previous equity + flow).

    The three (N,) are in one currency. A flow counts as arriving before the session. NaN for the first and where the
    base is not positive: such a return does not exist, and 0 would hide the P&L.
    """
    returns = np.full(len(equity), np.nan)
    base = equity[:-1] + capital_flow[1:]
    np.divide(daily_pnl[1:], base, out=returns[1:], where=base > 0)
    return returns


def growth_index(returns: FloatArray) -> FloatArray:
    """Worth of 1 at the first place, (N,); NaN from the first missing return on, after a loss of all, and beyond 1e12.

    ``returns`` (N,) are since the previous place; the first is not read. A chain that is broken is not continued:
    what comes after a missing return is another account.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        index = np.concatenate(([1.0], np.cumprod(1.0 + returns[1:])))[: len(returns)]
    beyond = np.flatnonzero(~(index <= LARGEST_INDEX))
    if beyond.size:
        index[beyond[0] :] = np.nan
    lost = np.flatnonzero(index <= 0)
    if lost.size:
        index[lost[0] + 1 :] = np.nan
    return index


def drawdowns(index: FloatArray) -> FloatArray:
    """Share by which each value of an index (N,) is below the highest so far, 0 or negative; NaN stays NaN."""
    falls: FloatArray = index / np.maximum.accumulate(index) - 1.0
    return falls


def current_drawdown(index: FloatArray) -> Drawdown:
    """The fall at the last place of an index (N,) without NaN, since the last time it was at its highest."""
    place = len(index) - 1
    return Drawdown(float(drawdowns(index)[-1]), _peak(index, place), place)


def maximum_drawdown(index: FloatArray) -> Drawdown:
    """The deepest fall of an index (N,) without NaN, the earliest of equals."""
    falls = drawdowns(index)
    place = int(np.argmin(falls))
    return Drawdown(float(falls[place]), _peak(index, place), place)


def annualized_return(total: float, sessions: int) -> float | None:
    """The yearly return that makes ``total`` in so many sessions, of which a year has 252.

    None for less than a year, which must not be stretched to one (CFA Institute, Global Investment Performance
    Standards 2020), and where more than everything is lost.
    """
    if sessions < SESSIONS_PER_YEAR or total < -1:
        return None
    return float((1.0 + total) ** (SESSIONS_PER_YEAR / sessions) - 1.0)


def annual_volatility(returns: FloatArray) -> float | None:
    """Sample standard deviation x sqrt 252 of the returns (N,) that are not NaN; None below 30 of them."""
    known = returns[np.isfinite(returns)]
    return _annual_deviation(known) if len(known) >= MIN_OBSERVATIONS else None


def joint_observations(returns: FloatArray, benchmark: FloatArray) -> IntArray:
    """Places at which both series (N,) have a return."""
    return np.flatnonzero(np.isfinite(returns) & np.isfinite(benchmark))


def relative_performance(returns: FloatArray, benchmark: FloatArray) -> Relative | None:
    """Tracking error, beta and correlation over the places where both series (N,) have a return.

    Tracking error is the sample standard deviation x sqrt 252 of the differences; beta the least-squares slope on the
    benchmark. None below 30 such places.
    """
    joint = joint_observations(returns, benchmark)
    if joint.size < MIN_OBSERVATIONS:
        return None
    own, other = returns[joint], benchmark[joint]
    tracking_error = _annual_deviation(own - other)
    x, y = other - other.mean(), own - own.mean()
    varies = [float(np.ptp(values)) > 0 for values in (own, other)]
    return Relative(
        tracking_error=tracking_error,
        beta=float(x @ y / (x @ x)) if varies[1] else None,
        correlation=float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0)) if all(varies) else None,
    )


def _annual_deviation(values: FloatArray) -> float:
    return float(values.std(ddof=1) * np.sqrt(SESSIONS_PER_YEAR))


def _peak(index: FloatArray, place: int) -> int:
    """The last place up to ``place`` at which the index was at its highest so far."""
    so_far = index[: place + 1]
    return int(np.flatnonzero(so_far == so_far.max())[-1])
