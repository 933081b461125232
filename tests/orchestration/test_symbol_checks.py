"""The limits of each check, on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from sigmasight_assets.operations.check_assets import BARS_VALID, BETA_STABLE, BETAS_FINITE, COVERAGE, FACTOR_FUNDS
from sigmasight_assets.orchestration.symbol_checks import (
    CHECKS,
    FRESH,
    coverage,
    good_sessions,
    judge_sessions,
    judge_symbols,
    named,
)
from sigmasight_assets.orchestration.symbol_states import SymbolStates
from sigmasight_assets.orchestration.symbol_window import SymbolWindow
from sigmasight_assets.orchestration.symbol_work import SymbolWork, build_work
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.factors import FACTOR_ETFS, Reason
from sigmasight_assets.quant.regression import SymbolExposures
from sigmasight_assets.storage.operations import Verdict
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.orchestration.symbol_windows import first_work, stored_after, symbol_window


@dataclass
class Judged:
    """100 symbols with three sessions to judge, and the judgement."""

    work: SymbolWork

    @property
    def window(self) -> SymbolWindow:
        return self.work.window

    @property
    def states(self) -> SymbolStates:
        return self.work.states

    @property
    def exposures(self) -> SymbolExposures:
        """Those of all cells, which were computed as one rectangle."""
        (part,) = self.work.parts
        return part.figures.exposures

    def verdicts(
        self, previous: FloatArray | None = None, *, min_coverage: float = 0.98, refused: Sequence[str] = ()
    ) -> list[Verdict]:
        return judge_sessions(self.work, min_coverage=min_coverage, previous_betas=previous, refused=refused)

    def of(self, check: str, previous: FloatArray | None = None, **options: Any) -> list[Verdict]:
        """The verdicts of one check, one per session."""
        return [item for item in self.verdicts(previous, **options) if item.check == check]

    def set_market_betas(self, row: int, betas: FloatArray) -> None:
        self.work.parts[0].figures.betas[row, :, 0] = betas

    def unprice(self, row: int, *columns: int) -> None:
        self.states.priced[row, list(columns)] = False


@pytest.fixture
def judged() -> Judged:
    return Judged(first_work(symbol_window()))


def all_fresh(work: SymbolWork) -> SymbolWork:
    """The same targets once everything is published."""
    return build_work(work.window, stored_after(work), products=SYMBOL_PRODUCTS)


def passed(verdicts: list[Verdict]) -> list[bool]:
    return [item.passed for item in verdicts]


def test_sound_sessions_pass_every_check_in_order(judged: Judged) -> None:
    verdicts = judged.verdicts()
    days = judged.window.targets.sessions.tolist()
    assert [(item.session, item.check) for item in verdicts] == [(day, check) for day in days for check in CHECKS]
    assert all(item.passed and item.is_blocking and item.detail for item in verdicts)
    assert good_sessions(judged.window, verdicts).tolist() == [True, True, True]


@pytest.mark.fault(8)
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
    states = judged.states
    states.active[0, [20, 21]] = False
    first = judged.of(COVERAGE)[0]
    assert first.passed
    assert "97 of 98 active symbols" in first.detail
    assert first.detail.endswith("without: S14")
    # A bar of a symbol that is not expected makes up for none that is missing.
    states.active[1, 30:] = False
    judged.unprice(1, 8)
    assert not judged.of(COVERAGE)[1].passed


def test_a_source_that_knows_nothing_of_many_symbols_does_not_pass(judged: Judged) -> None:
    """Symbols without any data are not active; as many of them as may be missing are borne."""
    states = judged.states
    for count, passes in ((2, True), (3, False)):
        states.active[0, 20 : 20 + count] = False
        states.without_data[20 : 20 + count] = True
        judged.unprice(0, *range(20, 20 + count))
        first = judged.of(COVERAGE)[0]
        assert first.passed == passes
        assert f"{100 - count} of {100 - count} active symbols have a bar (100.00%)" in first.detail
        assert first.detail.endswith("tracked but without any data: " + ", ".join(["S12", "S13", "S14"][:count]))


def test_symbols_without_data_count_exactly(judged: Judged) -> None:
    """1 - 0.9 is less than 0.1 in binary floats."""
    judged.states.active[0, 20:30] = False
    judged.states.without_data[20:30] = True
    judged.unprice(0, *range(20, 30))
    assert judged.of(COVERAGE, min_coverage=0.9)[0].passed
    judged.states.without_data[30] = True
    assert not judged.of(COVERAGE, min_coverage=0.9)[0].passed


def test_symbols_that_owners_asked_for_in_vain_do_not_count(judged: Judged) -> None:
    states = judged.states
    states.active[0, 20:30] = False
    states.without_data[20:30] = True
    judged.unprice(0, *range(20, 30))
    names = judged.window.grid.symbols
    assert not judged.of(COVERAGE)[0].passed
    refused = judged.of(COVERAGE, refused=names[20:30])[0]
    assert refused.passed
    assert "without any data" not in refused.detail
    # Two of 92 that nobody asked for are too many, one is borne.
    assert judged.of(COVERAGE, refused=names[20:29])[0].passed
    assert not judged.of(COVERAGE, refused=names[20:28])[0].passed
    # One that has data counts, whoever asked for it once.
    judged.unprice(0, 40, 41, 42)
    assert not judged.of(COVERAGE, refused=[*names[20:30], *names[40:43]])[0].passed


def test_needed_coverage_is_the_setting(judged: Judged) -> None:
    judged.unprice(0, *range(50, 60))
    assert passed(judged.of(COVERAGE, min_coverage=0.90)) == [True, True, True]
    assert passed(judged.of(COVERAGE, min_coverage=0.91)) == [False, True, True]
    assert passed(judged.of(COVERAGE, min_coverage=1.0)) == [False, True, True]


def test_a_session_without_active_symbols_is_not_covered(judged: Judged) -> None:
    judged.states.active[0] = False
    first = judged.of(COVERAGE)[0]
    assert not first.passed
    assert "0 of 0" in first.detail


@pytest.mark.fault(8)
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
    exposures = judged.exposures
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
    judged.exposures.market.beta[1, 40] = beta
    judged.exposures.ridge.beta[2, 40, 3] = beta
    assert passed(judged.of(BETAS_FINITE)) == [True, is_sound, is_sound]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_published_ridge_betas_must_be_finite(judged: Judged, value: float) -> None:
    ridge = judged.exposures.ridge
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


@pytest.mark.fault(11)
@pytest.mark.parametrize(("movers", "passes"), [(1, True), (2, False)])
def test_the_leap_of_one_symbol_stops_no_small_universe(judged: Judged, movers: int, passes: bool) -> None:
    """Of thirty symbols one is three percent, and its betas are large until the leap has left its window."""
    betas, previous = np.zeros(100), np.zeros(100)
    previous[30:] = np.nan
    betas[20 : 20 + movers] = 1.5
    judged.set_market_betas(0, betas)
    first = judged.of(BETA_STABLE, previous)[0]
    assert (first.passed, first.offender_count) == (passes, movers)


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
    """Fewer sessions are judged for those."""
    window = judged.window.part(np.array([2]), np.arange(100))
    work = first_work(window)
    verdicts = judge_sessions(work, min_coverage=0.98, previous_betas=None)
    assert len(verdicts) == len(CHECKS)
    assert {item.session for item in verdicts} == set(window.targets.sessions.tolist())


def test_fresh_sessions_are_judged_by_their_inputs(judged: Judged) -> None:
    fresh = Judged(all_fresh(judged.work))
    assert fresh.work.parts == []
    assert {item.detail for item in fresh.of(BETAS_FINITE) + fresh.of(BETA_STABLE, np.full(100, 9.0))} == {FRESH}
    fresh.unprice(0, 0)
    fresh.unprice(1, 20, 21, 22)
    fresh.window.adj_close[fresh.window.rows[2], 11] = np.nan
    failed = [(item.session, item.check) for item in fresh.verdicts() if not item.passed]
    first, second, third = fresh.window.targets.sessions.tolist()
    assert failed == [(first, FACTOR_FUNDS), (second, COVERAGE), (third, BARS_VALID)]


def test_stability_is_that_of_all_symbols_however_few_were_computed(judged: Judged) -> None:
    """One symbol is computed anew, beyond the bound: it is one of a hundred, not one of one."""
    fresh = all_fresh(judged.work)
    fresh.stored["market_beta"].fingerprint[1, 40] += 1
    work = build_work(fresh.window, fresh.stored, products=SYMBOL_PRODUCTS)
    assert [(part.block.rows.tolist(), part.block.columns.tolist()) for part in work.parts] == [([1], [40])]
    np.testing.assert_allclose(work.market_betas, judged.work.market_betas, rtol=0, atol=1e-12)
    work.parts[0].figures.betas[0, 0, 0] += 1.5
    verdicts = Judged(work).of(BETA_STABLE)
    assert passed(verdicts) == [True, True, True]
    assert "1.00% beyond 1.0: S32" in verdicts[1].detail
    # The fresh session before it is its yardstick.
    work.stored["market_beta"].betas[0] -= 0.3
    assert passed(Judged(work).of(BETA_STABLE)) == [True, False, True]


def test_symbols_alone_are_judged_by_their_bars_and_betas(judged: Judged) -> None:
    judged.unprice(0, 0, 20, 21, 22)
    judged.set_market_betas(2, np.full(100, 5.0))
    assert judge_symbols(judged.work) == []
    judged.window.volume[judged.window.rows[0], 11] = -1.0
    judged.exposures.rates.beta[2, 40] = np.inf
    found = [(item.session, item.check, item.detail) for item in judge_symbols(judged.work)]
    first, _, third = judged.window.targets.sessions.tolist()
    assert found == [(first, BARS_VALID, "invalid: S03"), (third, BETAS_FINITE, "not finite or beyond +-5: S32")]


def test_coverage_of_a_session(judged: Judged) -> None:
    judged.unprice(0, 20)
    judged.states.active[1] = False
    assert [coverage(judged.work, row) for row in range(3)] == [0.99, 0.0, 1.0]
