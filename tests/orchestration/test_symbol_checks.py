"""The limits of each check, on both sides."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from sigmasight_assets.orchestration.symbol_checks import (
    BARS_VALID,
    BETA_STABLE,
    BETAS_FINITE,
    CHECKS,
    COVERAGE,
    FACTOR_FUNDS,
    good_sessions,
    judge_sessions,
    named,
)
from sigmasight_assets.orchestration.symbol_figures import SymbolFigures, compute_figures
from sigmasight_assets.orchestration.symbol_window import SymbolWindow
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.factors import FACTOR_ETFS, Reason
from sigmasight_assets.quant.returns import simple_returns
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.operations import Verdict
from sigmasight_assets.storage.universe import TrackedSymbol

SYMBOLS = (*FACTOR_ETFS, *(f"S{number:02}" for number in range(92)))
TARGETS = 3
HISTORY = 200


@dataclass
class Judged:
    """100 symbols with three sessions to judge, and the judgement."""

    window: SymbolWindow
    figures: SymbolFigures

    def verdicts(self, previous: FloatArray | None = None, *, min_coverage: float = 0.98) -> list[Verdict]:
        return judge_sessions(self.window, self.figures, min_coverage=min_coverage, previous_betas=previous)

    def of(self, check: str, previous: FloatArray | None = None, **options: Any) -> list[Verdict]:
        """The verdicts of one check, one per session."""
        return [item for item in self.verdicts(previous, **options) if item.check == check]

    def set_market_betas(self, row: int, betas: FloatArray) -> None:
        self.figures.exposures.market.beta[row] = betas

    def unprice(self, row: int, *columns: int) -> None:
        self.figures.priced[row, list(columns)] = False


def tracked(symbol: str) -> TrackedSymbol:
    return TrackedSymbol(symbol, symbol, "equity", None, None, "active", None, None, date(2020, 1, 2), None, None)


@pytest.fixture
def judged(calendar: SessionCalendar) -> Judged:
    random = np.random.default_rng(3)
    start = calendar.index(date(2024, 9, 3))
    sessions = calendar.sessions[start : start + HISTORY]
    market = random.normal(0.0005, 0.01, (HISTORY, 1))
    growth: FloatArray = 1 + market + random.normal(0, 0.01, (HISTORY, len(SYMBOLS)))
    prices = np.cumprod(growth, axis=0, dtype=np.float64) * 100
    rows = np.arange(HISTORY - TARGETS, HISTORY)
    window = SymbolWindow(
        grid=Grid(sessions, SYMBOLS),
        rows=rows,
        symbols=tuple(tracked(symbol) for symbol in SYMBOLS),
        own=np.array([FACTOR_ETFS.index(name) if name in FACTOR_ETFS else -1 for name in SYMBOLS]),
        anchors=np.full((TARGETS, 5), -1),
        close_units=np.rint(prices * 10_000).astype(np.int64),
        adj_close=prices,
        volume=np.full(prices.shape, 1e5),
        returns=simple_returns(prices),
    )
    return Judged(window, compute_figures(window))


def passed(verdicts: list[Verdict]) -> list[bool]:
    return [item.passed for item in verdicts]


def test_sound_sessions_pass_every_check_in_order(judged: Judged) -> None:
    verdicts = judged.verdicts()
    days = judged.window.targets.sessions.tolist()
    assert [(item.session, item.check) for item in verdicts] == [(day, check) for day in days for check in CHECKS]
    assert all(item.passed and item.is_blocking and item.detail for item in verdicts)
    assert good_sessions(judged.window, verdicts).tolist() == [True, True, True]


def test_coverage_counts_active_symbols(judged: Judged) -> None:
    judged.unprice(0, 20, 21)
    judged.unprice(1, 20, 21, 22)
    enough, short, full = judged.of(COVERAGE)
    assert enough.passed
    assert enough.detail == "98 of 100 active symbols have a bar (98.00%), 98.00% needed; without: S12, S13"
    assert not short.passed
    assert short.detail == "97 of 100 active symbols have a bar (97.00%), 98.00% needed; without: S12, S13, S14"
    assert full.detail == "100 of 100 active symbols have a bar (100.00%), 98.00% needed"


def test_symbols_that_are_not_active_do_not_count(judged: Judged) -> None:
    judged.unprice(0, 20, 21, 22)
    figures = judged.figures
    figures.active[0, [20, 21]] = False
    first = judged.of(COVERAGE)[0]
    assert first.passed
    assert "97 of 98 active symbols" in first.detail
    assert first.detail.endswith("without: S14")
    # A bar of a symbol that is not expected makes up for none that is missing.
    figures.active[1, 30:] = False
    judged.unprice(1, 8)
    assert not judged.of(COVERAGE)[1].passed


def test_a_source_that_knows_nothing_of_many_symbols_does_not_pass(judged: Judged) -> None:
    """Symbols without any data are not active; as many of them as may be missing are borne."""
    figures = judged.figures
    for count, passes in ((2, True), (3, False)):
        figures.active[0, 20 : 20 + count] = False
        figures.without_data[0, 20 : 20 + count] = True
        judged.unprice(0, *range(20, 20 + count))
        first = judged.of(COVERAGE)[0]
        assert first.passed == passes
        assert f"{100 - count} of {100 - count} active symbols have a bar (100.00%)" in first.detail
        assert first.detail.endswith("tracked but without any data: " + ", ".join(["S12", "S13", "S14"][:count]))


def test_symbols_without_data_count_exactly(judged: Judged) -> None:
    """1 - 0.9 is less than 0.1 in binary floats."""
    judged.figures.active[0, 20:30] = False
    judged.figures.without_data[0, 20:30] = True
    judged.unprice(0, *range(20, 30))
    assert judged.of(COVERAGE, min_coverage=0.9)[0].passed
    judged.figures.without_data[0, 30] = True
    assert not judged.of(COVERAGE, min_coverage=0.9)[0].passed


def test_needed_coverage_is_the_setting(judged: Judged) -> None:
    judged.unprice(0, *range(50, 60))
    assert passed(judged.of(COVERAGE, min_coverage=0.90)) == [True, True, True]
    assert passed(judged.of(COVERAGE, min_coverage=0.91)) == [False, True, True]
    assert passed(judged.of(COVERAGE, min_coverage=1.0)) == [False, True, True]


def test_a_session_without_active_symbols_is_not_covered(judged: Judged) -> None:
    judged.figures.active[0] = False
    first = judged.of(COVERAGE)[0]
    assert not first.passed
    assert "0 of 0" in first.detail


@pytest.mark.parametrize("fund", range(8))
def test_each_factor_fund_is_needed(judged: Judged, fund: int) -> None:
    judged.unprice(1, fund)
    verdicts = judged.of(FACTOR_FUNDS)
    assert passed(verdicts) == [True, False, True]
    assert verdicts[1].detail == f"no bar of {FACTOR_ETFS[fund]}"
    assert all(fund_name in verdicts[0].detail for fund_name in FACTOR_ETFS)


def test_all_missing_funds_are_named(judged: Judged) -> None:
    judged.unprice(0, 0, 7)
    assert judged.of(FACTOR_FUNDS)[0].detail == "no bar of SPY, USMV"


@pytest.mark.parametrize(
    ("column", "value", "is_valid"),
    [
        ("adj_close", np.nan, False),
        ("adj_close", np.inf, False),
        ("adj_close", 0.0, False),
        ("adj_close", -1.0, False),
        ("adj_close", 1e-9, True),
        ("volume", np.nan, False),
        ("volume", -1.0, False),
        ("volume", 0.0, True),
    ],
)
def test_bars_must_be_finite_and_positive(judged: Judged, column: str, value: float, is_valid: bool) -> None:
    getattr(judged.window, column)[judged.window.rows[2], 11] = value
    verdicts = judged.of(BARS_VALID)
    assert passed(verdicts) == [True, True, is_valid]
    assert ("invalid: S03" in verdicts[2].detail) == (not is_valid)


def test_a_missing_bar_is_no_invalid_bar(judged: Judged) -> None:
    judged.unprice(2, 11)
    judged.window.adj_close[judged.window.rows[2], 11] = np.nan
    assert passed(judged.of(BARS_VALID)) == [True, True, True]


@pytest.mark.parametrize(
    ("table", "column"),
    [("market", "beta"), ("market", "std_err"), ("rates", "beta"), ("rates", "std_err"), ("spreads", "beta")],
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_published_estimates_must_be_finite(judged: Judged, table: str, column: str, value: float) -> None:
    exposures = judged.figures.exposures
    estimates = exposures.spreads[3] if table == "spreads" else getattr(exposures, table)
    getattr(estimates, column)[1, 40] = value
    verdicts = judged.of(BETAS_FINITE)
    assert passed(verdicts) == [True, False, True]
    assert verdicts[1].detail == "not finite or beyond +-5: S32"
    # Without a value, nothing is published that could be wrong.
    estimates.reason[1, 40] = Reason.SHORT_HISTORY
    assert passed(judged.of(BETAS_FINITE)) == [True, True, True]


@pytest.mark.parametrize(("beta", "is_sound"), [(5.0, True), (-5.0, True), (5.0000001, False), (-5.0000001, False)])
def test_published_betas_stay_within_their_bound(judged: Judged, beta: float, is_sound: bool) -> None:
    judged.figures.exposures.market.beta[1, 40] = beta
    judged.figures.exposures.ridge.beta[2, 40, 3] = beta
    assert passed(judged.of(BETAS_FINITE)) == [True, is_sound, is_sound]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_published_ridge_betas_must_be_finite(judged: Judged, value: float) -> None:
    ridge = judged.figures.exposures.ridge
    ridge.beta[0, 40, 5] = value
    assert passed(judged.of(BETAS_FINITE)) == [False, True, True]
    ridge.reason[0, 40] = Reason.CONSTANT
    assert passed(judged.of(BETAS_FINITE)) == [True, True, True]


@pytest.mark.parametrize(
    ("move", "passes", "is_blocking"),
    [(0.0, True, True), (0.1, True, True), (0.125, False, False), (0.25, False, False), (0.2500001, False, True)],
)
def test_median_move_of_market_betas(judged: Judged, move: float, passes: bool, is_blocking: bool) -> None:
    judged.set_market_betas(0, np.full(100, -move))
    first = judged.of(BETA_STABLE, np.zeros(100))[0]
    assert (first.passed, first.is_blocking) == (passes, is_blocking)
    assert f"median move {move:.3f}" in first.detail


@pytest.mark.parametrize(
    ("movers", "move", "passes"), [(1, 1.5, True), (2, 1.5, False), (99, 1.0, False), (2, 1.0, True)]
)
def test_share_of_large_moves(judged: Judged, movers: int, move: float, passes: bool) -> None:
    betas = np.zeros(100)
    betas[20 : 20 + movers] = move
    judged.set_market_betas(0, betas)
    first = judged.of(BETA_STABLE, np.zeros(100))[0]
    assert first.passed == passes
    large = movers if move > 1.0 else 0
    assert f"{large:.2f}% beyond 1.0" in first.detail
    assert ("S12" in first.detail) == (large > 0)


def test_only_symbols_with_both_betas_are_compared(judged: Judged) -> None:
    betas, previous = np.full(100, 3.0), np.zeros(100)
    previous[10:] = np.nan
    betas[:10] = 0.1
    judged.set_market_betas(0, betas)
    assert judged.of(BETA_STABLE, previous)[0].passed
    judged.set_market_betas(0, np.full(100, np.nan))
    assert judged.of(BETA_STABLE, previous)[0].detail == "no previous session to compare with"


@pytest.mark.parametrize("previous", [None, np.full(100, np.nan)])
def test_without_a_previous_session_stability_passes(judged: Judged, previous: FloatArray | None) -> None:
    first = judged.of(BETA_STABLE, previous)[0]
    assert first.passed
    assert first.detail == "no previous session to compare with"


def test_a_session_that_fails_is_not_the_yardstick_of_the_next(judged: Judged) -> None:
    for row, level in enumerate((1.0, 4.0, 1.0)):
        judged.set_market_betas(row, np.full(100, level))
    assert passed(judged.of(BETA_STABLE, np.ones(100))) == [True, False, True]
    # Nor is one that fails for another reason.
    judged.set_market_betas(1, np.full(100, 1.2))
    judged.set_market_betas(2, np.full(100, 1.3))
    assert [item.is_blocking for item in judged.of(BETA_STABLE, np.ones(100))] == [True, False, False]
    judged.unprice(1, 0)
    last = judged.of(BETA_STABLE, np.ones(100))[2]
    assert (last.passed, last.is_blocking) == (False, True)


def test_good_sessions_are_those_without_a_blocking_failure(judged: Judged) -> None:
    first, second, third = judged.window.targets.sessions.tolist()
    verdicts = [
        Verdict(COVERAGE, first, passed=True, detail=""),
        Verdict(COVERAGE, second, passed=False, detail=""),
        Verdict(BETA_STABLE, third, passed=False, detail="", is_blocking=False),
    ]
    assert good_sessions(judged.window, verdicts).tolist() == [True, False, True]


def test_offenders_beyond_twenty_are_counted(judged: Judged) -> None:
    judged.unprice(0, *range(50, 75))
    detail = judged.of(COVERAGE)[0].detail
    assert detail.endswith("S61 and 5 more")
    assert named(["A"] * 20) == ", ".join(["A"] * 20)
    assert named(["A"] * 21).endswith("A and 1 more")
    assert named([]) == ""


def test_bounds_hold_for_the_symbols_of_the_window(judged: Judged) -> None:
    """A figure table of fewer sessions is judged for those."""
    window = replace(judged.window, rows=judged.window.rows[-1:], anchors=judged.window.anchors[-1:])
    verdicts = judge_sessions(window, compute_figures(window), min_coverage=0.98, previous_betas=None)
    assert len(verdicts) == len(CHECKS)
    assert {item.session for item in verdicts} == set(window.targets.sessions.tolist())
