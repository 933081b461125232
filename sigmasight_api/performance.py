"""The performance answer: a series of snapshots in, the document out. No database, no clock.

Source: formulas.md sections 5 and 8.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np

from sigmasight_api.answers import stated
from sigmasight_api.books import Book, Holdings
from sigmasight_api.formats import optional_number
from sigmasight_api.risk_schemas import (
    Benchmark,
    BreakReason,
    Drawdown,
    MissingNumber,
    MissingReason,
    PartialSymbol,
    Performance,
    PerformancePoint,
    SeriesBreak,
)
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.snapshot_series import SnapshotSeries
from sigmasight_api.valuation import held_options, private_share, valued_positions
from sigmasight_api.view import MarketView
from sigmasight_assets.quant import performance as measured
from sigmasight_assets.quant.arrays import DateArray, FloatArray, IntArray
from sigmasight_assets.quant.metrics import SESSIONS_PER_YEAR
from sigmasight_assets.quant.returns import simple_returns

BENCHMARK = "SPY"

# With the observations that there are, and that it takes; None where their number is not the reason.
_Reason = tuple[MissingReason, int | None, int | None]


def performance(
    book: Book, holdings: Holdings, view: MarketView, *, series: SnapshotSeries, calendar: DateArray
) -> AnalyticsAnswer[Performance]:
    """The answer for a series that is not newer than the view; ``calendar`` are all sessions of the exchange.

    The numbers are of the account as it was, whatever it holds now: its coverage is the share of the returns between
    the snapshots that exist, and what a snapshot lacked a price of is said in the data.
    """
    history = _History.of(series, calendar)
    options = held_options(holdings, view, snapshot_session=book.equity_session)
    return AnalyticsAnswer[Performance](
        **stated(book, view),
        coverage=history.observations / (len(history.returns) - 1) if len(history.returns) > 1 else None,
        private_share=private_share(valued_positions(holdings.shares, view), options, holdings.private, view),
        excluded=[],
        incomplete=[],
        carried=[],
        data=_numbers(history),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _History:
    """What a series (N,) says snapshot by snapshot; the names are those of ``PerformancePoint``."""

    series: SnapshotSeries
    spans: IntArray
    returns: FloatArray
    index: FloatArray
    benchmark_returns: FloatArray
    benchmark_index: FloatArray

    @classmethod
    def of(cls, series: SnapshotSeries, calendar: DateArray) -> Self:
        returns = measured.snapshot_returns(series.equity, series.daily_pnl, series.capital_flow)
        places = np.searchsorted(calendar, series.sessions)
        return cls(
            series=series,
            spans=np.diff(places, prepend=places[:1]),
            returns=returns,
            index=measured.growth_index(returns),
            # Over the sessions of each return, however many they are.
            benchmark_returns=simple_returns(series.benchmark[:, None])[:, 0],
            benchmark_index=series.benchmark / series.benchmark[:1],
        )

    @property
    def sessions(self) -> int:
        return int(self.spans.sum())

    @property
    def observations(self) -> int:
        return int(np.isfinite(self.returns).sum())

    @property
    def is_whole(self) -> bool:
        """Whether the index goes from the first snapshot to the last, and the two are not the same."""
        return self.returns.size > 1 and bool(np.isfinite(self.index[-1]))

    def day(self, place: int) -> date:
        day: date = self.series.sessions[place].item()
        return day


def _numbers(history: _History) -> Performance:
    sessions = history.series.sessions
    total = float(history.index[-1] - 1.0) if history.is_whole else None
    numbers = {
        "total_return": total,
        "annualized_return": None if total is None else measured.annualized_return(total, history.sessions),
        "volatility": measured.annual_volatility(history.returns),
        "current_drawdown": _drawdown(history, measured.current_drawdown) if history.is_whole else None,
        "maximum_drawdown": _drawdown(history, measured.maximum_drawdown) if history.is_whole else None,
    }
    benchmark, breaks = _benchmark(history), _breaks(history)
    of_benchmark = {f"benchmark.{name}": value for name, value in benchmark.model_dump().items()}
    reasons = _reasons(history, breaks)
    return Performance(
        base_session=history.day(0) if sessions.size else None,
        last_session=history.day(-1) if sessions.size else None,
        sessions=history.sessions,
        observations=history.observations,
        **numbers,
        benchmark=benchmark,
        breaks=breaks,
        partial_symbols=_partial_symbols(history.series),
        missing=[
            MissingNumber(name=name, reason=reason, observations=observations, needed=needed)
            for name, value in {**numbers, **of_benchmark}.items()
            if value is None
            for reason, observations, needed in (reasons[name],)
        ],
        items=_points(history),
    )


def _benchmark(history: _History) -> Benchmark:
    ends = history.benchmark_index[-1] - 1.0 if history.returns.size > 1 else np.nan
    relative = measured.relative_performance(history.returns, history.benchmark_returns)
    return Benchmark(
        symbol=BENCHMARK,
        total_return=optional_number(ends),
        annualized_return=None if np.isnan(ends) else measured.annualized_return(float(ends), history.sessions),
        observations=measured.joint_observations(history.returns, history.benchmark_returns).size,
        tracking_error=relative.tracking_error if relative else None,
        beta=relative.beta if relative else None,
        correlation=relative.correlation if relative else None,
    )


def _drawdown(history: _History, measure: Callable[[FloatArray], measured.Drawdown]) -> Drawdown:
    found = measure(history.index)
    return Drawdown(depth=found.depth, peak_session=history.day(found.peak), session=history.day(found.place))


def _breaks(history: _History) -> list[SeriesBreak]:
    # A later reason stands for an earlier one of the same session.
    found: dict[int, BreakReason] = {}
    for place in np.flatnonzero((history.index[:-1] > 0) & np.isnan(history.index[1:])) + 1:
        found[int(place)] = "beyond_measure"
    # Nothing can be gained or lost of nothing.
    for place in np.flatnonzero(history.index[:-1] <= 0) + 1:
        found[int(place)] = "nothing_left"
    for place in np.flatnonzero(np.isnan(history.returns[1:])) + 1:
        found[int(place)] = "base_not_positive"
    return [SeriesBreak(session=history.day(place), reason=found[place]) for place in sorted(found)]


def _reasons(history: _History, breaks: Sequence[SeriesBreak]) -> dict[str, _Reason]:
    """Why each number would be null, with the observations that there are and that it takes."""
    if history.returns.size < 2:
        return defaultdict(lambda: ("short_history", 0, 1) if history.returns.size else ("no_snapshot", None, None))
    own, least = history.observations, measured.MIN_OBSERVATIONS
    joint = measured.joint_observations(history.returns, history.benchmark_returns).size
    chain: _Reason = (breaks[0].reason, None, None) if breaks else ("nothing_left", None, None)
    year: _Reason = ("short_history", history.sessions, SESSIONS_PER_YEAR)
    is_young = history.sessions < SESSIONS_PER_YEAR
    unpriced: _Reason = ("no_benchmark", None, None)
    few: _Reason = ("short_history", joint, least) if own < least else unpriced
    related: _Reason = few if joint < least else ("no_variation", None, None)
    return {
        **dict.fromkeys(("total_return", "current_drawdown", "maximum_drawdown"), chain),
        "annualized_return": year if history.is_whole and is_young else chain,
        "volatility": ("short_history", own, least),
        "benchmark.total_return": unpriced,
        "benchmark.annualized_return": year if np.isfinite(history.benchmark_index[-1]) else unpriced,
        **dict.fromkeys(("benchmark.tracking_error", "benchmark.beta", "benchmark.correlation"), related),
    }


def _partial_symbols(series: SnapshotSeries) -> list[PartialSymbol]:
    sessions: dict[str, list[date]] = {}
    for session, symbols in zip(series.sessions.tolist(), series.partial, strict=True):
        for symbol in symbols:
            sessions.setdefault(symbol, []).append(session)
    return [
        PartialSymbol(symbol=symbol, snapshots=len(dates), first_session=dates[0], last_session=dates[-1])
        for symbol, dates in sorted(sessions.items())
    ]


def _points(history: _History) -> list[PerformancePoint]:
    falls = measured.drawdowns(history.index)
    columns = zip(
        history.series.sessions.tolist(),
        history.spans.tolist(),
        *(
            [optional_number(value) for value in column.tolist()]
            for column in (history.returns, history.index, falls, history.benchmark_index)
        ),
        strict=True,
    )
    names = ("session", "sessions", "daily_return", "index", "drawdown", "benchmark_index")
    return [PerformancePoint(**dict(zip(names, values, strict=True))) for values in columns]
