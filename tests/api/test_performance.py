"""The performance answer on series made by hand: spans, breaks, peaks with dates, and what is null and why."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sigmasight_api.performance import performance
from sigmasight_api.risk_schemas import Performance
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.snapshot_series import SnapshotSeries
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.sessions import exchange_calendar
from tests.api.handmade import holdings, private
from tests.api.test_book_series import VIEW
from tests.api.test_exposures import BOOK

CALENDAR = exchange_calendar().sessions
START = int(np.searchsorted(CALENDAR, np.datetime64("2024-01-02")))
NAN = float("nan")
EVERYTHING = (
    "total_return",
    "annualized_return",
    "volatility",
    "current_drawdown",
    "maximum_drawdown",
    "benchmark.total_return",
    "benchmark.annualized_return",
    "benchmark.tracking_error",
    "benchmark.beta",
    "benchmark.correlation",
)


def series_of(
    returns: Sequence[float],
    *,
    benchmark: Sequence[float] | None = None,
    places: Sequence[int] | None = None,
    partial: Sequence[Sequence[str]] | None = None,
) -> SnapshotSeries:
    """An account of 100 USD with these returns after the first snapshot, at these places of the calendar from 2024."""
    equity: FloatArray = 100 * np.cumprod(np.array([1.0, *(1 + value for value in returns)]))
    count = len(equity)
    return SnapshotSeries(
        sessions=CALENDAR[START + np.array(range(count) if places is None else places)],
        equity=equity,
        daily_pnl=np.diff(equity, prepend=equity[0]),
        capital_flow=np.zeros(count),
        benchmark=np.array(equity if benchmark is None else benchmark, dtype=np.float64),
        partial=partial or [[]] * count,
        generation=1,
    )


def answer_of(series: SnapshotSeries) -> AnalyticsAnswer[Performance]:
    return performance(BOOK, holdings({"AAA": 1}), VIEW, series=series, calendar=CALENDAR)


def numbers_of(series: SnapshotSeries) -> Performance:
    return answer_of(series).data


def missing_of(found: Performance) -> dict[str, tuple[str, int | None, int | None]]:
    """Reasons by name; what is named is null and nothing else is."""
    missing: dict[str, tuple[str, int | None, int | None]] = {
        item.name: (item.reason, item.observations, item.needed) for item in found.missing
    }
    for name in EVERYTHING:
        holder: Any = found.benchmark if name.startswith("benchmark.") else found
        assert (getattr(holder, name.removeprefix("benchmark.")) is None) == (name in missing), name
    return missing


def session(place: int) -> date:
    day: date = CALENDAR[START + place].item()
    return day


def test_an_account_of_a_year() -> None:
    random = np.random.default_rng(5)
    returns = random.normal(0.001, 0.01, 260)
    answer = answer_of(series_of(returns.tolist()))
    found = answer.data
    total = np.prod(1 + returns) - 1
    assert found.total_return == pytest.approx(total, rel=1e-12)
    assert found.annualized_return == pytest.approx((1 + total) ** (252 / 260) - 1, rel=1e-12)
    assert found.volatility == pytest.approx(returns.std(ddof=1) * 252**0.5, rel=1e-9)
    assert (found.base_session, found.last_session) == (session(0), session(260))
    assert (found.sessions, found.observations, found.missing, found.breaks) == (260, 260, [], [])
    # It holds nothing but the benchmark.
    assert found.benchmark.total_return == pytest.approx(total, rel=1e-12)
    assert found.benchmark.annualized_return == pytest.approx(found.annualized_return, rel=1e-12)
    assert found.benchmark.beta == pytest.approx(1.0, rel=1e-9)
    assert found.benchmark.correlation == pytest.approx(1.0, rel=1e-9)
    assert found.benchmark.tracking_error == pytest.approx(0.0, abs=1e-12)
    assert found.benchmark.observations == 260
    assert (answer.coverage, answer.private_share, answer.excluded, answer.carried) == (1.0, 0.0, [], [])


def test_points_and_peaks_have_their_dates() -> None:
    found = numbers_of(series_of([1.0, -0.5, 0.5, 1 / 3, -0.25]))
    assert [point.index for point in found.items] == pytest.approx([1, 2, 1, 1.5, 2, 1.5])
    assert [point.drawdown for point in found.items] == pytest.approx([0, 0, -0.5, -0.25, 0, -0.25])
    assert found.items[0].daily_return is None
    assert [point.session for point in found.items] == [session(place) for place in range(6)]
    deepest, now = found.maximum_drawdown, found.current_drawdown
    assert deepest is not None
    assert now is not None
    assert (deepest.peak_session, deepest.session) == (session(1), session(2))
    assert (now.peak_session, now.session) == (session(4), session(5))
    assert deepest.depth == pytest.approx(-0.5)
    assert now.depth == pytest.approx(-0.25)


def test_a_return_over_a_hole_is_compared_with_the_benchmark_over_the_same_sessions() -> None:
    # Snapshots of the sessions 0, 1 and 4 to 40.
    places = [0, 1, *range(4, 41)]
    prices = 50 * np.cumprod(1 + np.random.default_rng(6).normal(0.0, 0.01, 41))[places]
    returns = prices[1:] / prices[:-1] - 1
    found = numbers_of(series_of((2 * returns).tolist(), benchmark=prices.tolist(), places=places))
    assert [point.sessions for point in found.items[:4]] == [0, 1, 3, 1]
    assert (found.sessions, found.observations, found.benchmark.observations) == (40, 38, 38)
    assert found.benchmark.beta == pytest.approx(2.0, rel=1e-9)
    assert found.benchmark.tracking_error == pytest.approx(returns.std(ddof=1) * 252**0.5, rel=1e-9)
    assert [point.benchmark_index for point in found.items] == pytest.approx(prices / prices[0])


def test_flows_are_no_returns() -> None:
    series = series_of([0.1, 0.1])
    flows = np.array([0.0, 0.0, 890.0])
    gifted = replace(
        series,
        equity=np.array([100.0, 110.0, 1100.0]),
        daily_pnl=np.array([0.0, 10.0, 100.0]),
        capital_flow=flows,
    )
    assert numbers_of(gifted).total_return == pytest.approx(0.21)


def test_a_missing_return_breaks_the_chain_and_is_said() -> None:
    series = series_of([0.1, 0.1, 0.1, 0.1])
    broken = replace(series, equity=np.array([100.0, 110, 0, 50, 55]), daily_pnl=np.array([0.0, 10, -110, 50, 5]))
    answer = answer_of(broken)
    found = answer.data
    assert [(item.session, item.reason) for item in found.breaks] == [(session(3), "base_not_positive")]
    assert [point.index for point in found.items] == [1.0, pytest.approx(1.1), 0.0, None, None]
    assert [point.daily_return for point in found.items] == [None, 0.1, -1.0, None, 0.1]
    assert (found.observations, answer.coverage) == (3, 0.75)
    missing = missing_of(found)
    chain = ("total_return", "annualized_return", "current_drawdown", "maximum_drawdown")
    assert {missing[name] for name in chain} == {("base_not_positive", None, None)}
    assert missing["volatility"] == ("short_history", 3, 30)


def test_after_everything_is_lost_a_flow_begins_another_account() -> None:
    series = series_of([0.1, 0.1, 0.1])
    refilled = replace(
        series,
        equity=np.array([100.0, -20, 80, 88]),
        daily_pnl=np.array([0.0, -120, 0, 8]),
        capital_flow=np.array([0.0, 0, 100, 0]),
    )
    found = numbers_of(refilled)
    assert [(item.session, item.reason) for item in found.breaks] == [(session(2), "nothing_left")]
    assert [point.index for point in found.items] == [1.0, pytest.approx(-0.2), None, None]
    assert missing_of(found)["total_return"] == ("nothing_left", None, None)


def test_a_total_loss_at_the_end_is_a_return() -> None:
    places = [0, *range(300, 331)]
    series = series_of([0.0] * 31, places=places)
    lost = replace(series, equity=np.array([100.0] * 31 + [-50.0]), daily_pnl=np.array([0.0] * 31 + [-150.0]))
    found = numbers_of(lost)
    assert (found.total_return, found.breaks) == (-1.5, [])
    assert found.maximum_drawdown is not None
    assert found.maximum_drawdown.depth == -1.5
    assert missing_of(found)["annualized_return"] == ("nothing_left", None, None)


def test_too_short_series() -> None:
    nothing = numbers_of(SnapshotSeries.of([]))
    assert missing_of(nothing) == dict.fromkeys(EVERYTHING, ("no_snapshot", None, None))
    assert (nothing.base_session, nothing.sessions, nothing.items) == (None, 0, [])
    single = answer_of(series_of([]))
    assert missing_of(single.data) == dict.fromkeys(EVERYTHING, ("short_history", 0, 1))
    assert (single.data.base_session, single.data.last_session, single.coverage) == (session(0), session(0), None)
    month = numbers_of(series_of([0.01, -0.01] * 14 + [0.01]))
    assert missing_of(month) == {
        "annualized_return": ("short_history", 29, 252),
        "benchmark.annualized_return": ("short_history", 29, 252),
        "volatility": ("short_history", 29, 30),
        **dict.fromkeys(EVERYTHING[7:], ("short_history", 29, 30)),
    }


def test_without_prices_of_the_benchmark() -> None:
    returns = [0.01, -0.01] * 16
    missing = missing_of(numbers_of(series_of(returns, benchmark=[NAN] * 33)))
    assert missing == {
        "annualized_return": ("short_history", 32, 252),
        **dict.fromkeys(EVERYTHING[5:], ("no_benchmark", None, None)),
    }
    late = numbers_of(series_of(returns, benchmark=[NAN, *range(100, 132)]))
    assert late.benchmark.observations == 31
    assert [item.name for item in late.missing] == [*EVERYTHING[1:2], *EVERYTHING[5:7]]
    assert {point.benchmark_index for point in late.items} == {None}


def test_what_does_not_vary() -> None:
    found = numbers_of(series_of([0.01, -0.01] * 16, benchmark=[100.0] * 33))
    assert found.benchmark.total_return == 0.0
    assert found.benchmark.tracking_error == pytest.approx(found.volatility)
    missing = missing_of(found)
    assert missing["benchmark.beta"] == missing["benchmark.correlation"] == ("no_variation", None, None)


def test_symbols_that_snapshots_lacked_are_named() -> None:
    found = numbers_of(series_of([0.0] * 3, partial=[["NEW"], [], ["NEW", "OLD"], ["OLD"]]))
    assert [tuple(item.model_dump().values()) for item in found.partial_symbols] == [
        ("NEW", 2, session(0), session(2)),
        ("OLD", 2, session(2), session(3)),
    ]


def test_private_assets_are_part_of_the_account() -> None:
    held = holdings({"AAA": 10}, private("HOUSE", on_2025_06_30="300"))
    answer = performance(BOOK, held, VIEW, series=series_of([0.1]), calendar=CALENDAR)
    assert (answer.private_share, answer.excluded) == (0.75, [])


def test_a_series_is_made_of_rows() -> None:
    rows: Any = [
        SimpleNamespace(
            session=session(place),
            equity=10,
            daily_pnl=1,
            capital_flow=2,
            benchmark=price,
            missing_symbols=["A"],
            generation=number,
        )
        for place, price, number in ((0, 5.0, 7), (1, None, 9), (2, 6.0, 8))
    ]
    series = SnapshotSeries.of(rows)
    assert series.sessions.tolist() == [session(0), session(1), session(2)]
    assert np.isnan(series.benchmark).tolist() == [False, True, False]
    assert (series.generation, series.equity.tolist(), list(series.partial)) == (9, [10.0] * 3, [["A"]] * 3)
    assert SnapshotSeries.of([]).generation == 0


def test_an_index_beyond_every_number_ends_with_a_reason() -> None:
    base = series_of([0.1] * 40)
    # Returns of ten billion times next to nothing, again and again.
    gains = np.full(41, 1e10)
    gains[:3] = 0.001
    answer = answer_of(replace(base, equity=np.ones(41), daily_pnl=gains, capital_flow=np.zeros(41))).data
    assert [(item.session, item.reason) for item in answer.breaks] == [(base.sessions[4].item(), "beyond_measure")]
    assert [item.index is None for item in answer.items[:6]] == [False] * 4 + [True] * 2
    assert answer.total_return is None
    reasons = {item.name: item.reason for item in answer.missing}
    assert reasons["total_return"] == reasons["maximum_drawdown"] == "beyond_measure"
