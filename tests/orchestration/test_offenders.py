"""Offenders carry why and the numbers, the first twenty of a session, and are of the judged session."""

from dataclasses import replace

import numpy as np
import pytest

from sigmasight_assets.operations.check_assets import BARS_VALID, BETA_STABLE, BETAS_FINITE, COVERAGE, FACTOR_FUNDS
from sigmasight_assets.orchestration.symbol_checks import judge_sessions
from sigmasight_assets.orchestration.symbol_work import SymbolWork
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.storage.operations import NAMED_OFFENDERS, Offender, Verdict
from tests.orchestration.symbol_windows import first_work, symbol_window


@pytest.fixture
def work() -> SymbolWork:
    return first_work(symbol_window())


def of(work: SymbolWork, check: str, row: int = 0, *, previous: FloatArray | None = None) -> Verdict:
    verdicts = judge_sessions(work, min_coverage=0.98, previous_betas=previous)
    return [item for item in verdicts if item.check == check][row]


def test_without_any_there_are_none(work: SymbolWork) -> None:
    for item in judge_sessions(work, min_coverage=0.98, previous_betas=None):
        assert (item.offenders, item.offender_count) == ((), 0)


def test_a_missing_bar_is_told_with_the_newest_one(work: SymbolWork) -> None:
    work.states.priced[1, [20, 30]] = False
    verdict = of(work, COVERAGE, 1)
    newest = work.window.symbols[20].last_price_date or "none"
    assert verdict.offenders[0] == Offender("S12", "no bar at the session", f"newest bar {newest}, active")
    assert (len(verdict.offenders), verdict.offender_count) == (2, 2)
    assert of(work, COVERAGE, 0).offenders == ()


def test_a_symbol_that_the_market_never_knew_is_told_with_its_words(work: SymbolWork) -> None:
    symbols = list(work.window.symbols)
    symbols[20] = replace(symbols[20], status_reason="no such ticker")
    work = replace(work, window=replace(work.window, symbols=tuple(symbols)))
    work.states.active[0, 20:22] = work.states.priced[0, 20:22] = False
    work.states.without_data[20:22] = True
    verdict = of(work, COVERAGE)
    assert verdict.offenders == (
        Offender("S12", "no such ticker", "no bar at all"),
        Offender("S13", "the market has nothing of it", "no bar at all"),
    )


def test_only_so_many_are_listed_and_all_counted(work: SymbolWork) -> None:
    work.states.priced[0, 50:75] = False
    verdict = of(work, COVERAGE)
    assert (len(verdict.offenders), verdict.offender_count) == (NAMED_OFFENDERS, 25)


def test_factor_funds(work: SymbolWork) -> None:
    (column,) = np.flatnonzero(work.window.own == 3)
    work.states.priced[0, column] = False
    (offender,) = of(work, FACTOR_FUNDS).offenders
    assert (offender.name, offender.reason) == (work.window.grid.symbols[column], "no bar at the session")


def test_an_invalid_bar_is_told_with_its_values(work: SymbolWork) -> None:
    row = work.window.rows[2]
    work.window.adj_close[row, 20], work.window.volume[row, 20] = np.nan, -5.0
    (offender,) = of(work, BARS_VALID, 2).offenders
    assert (offender.name, offender.measured) == ("S12", "adjusted close nan USD, volume -5 shares")
    assert of(work, BARS_VALID, 1).offenders == ()


@pytest.mark.parametrize(
    ("place", "reason", "measured"),
    [
        ("market", "market beta not finite or beyond +-5", "beta 7.5"),
        ("rates", "ir beta not finite or beyond +-5", "beta 7.5"),
        ("ridge", "quality beta not finite or beyond +-5", "beta 7.5"),
        ("spread", "size_spread beta not finite or beyond +-5", "beta 7.5"),
    ],
)
def test_a_beta_beyond_its_bound_is_named_with_its_factor(
    work: SymbolWork, place: str, reason: str, measured: str
) -> None:
    exposures = work.parts[0].figures.exposures
    target = {
        "market": exposures.market.beta,
        "rates": exposures.rates.beta,
        "ridge": exposures.ridge.beta[:, :, 3],
        "spread": exposures.spreads[2].beta,
    }[place]
    target[1, 20] = 7.5
    assert of(work, BETAS_FINITE, 1).offenders == (Offender("S12", reason, measured),)


def test_a_beta_without_a_standard_error_is_named_with_both(work: SymbolWork) -> None:
    market = work.parts[0].figures.exposures.market
    market.std_err[0, 20], market.beta[0, 20] = np.inf, 1.25
    expected = Offender("S12", "market beta without a finite standard error", "beta 1.25, standard error inf")
    assert of(work, BETAS_FINITE).offenders == (expected,)


def test_large_moves_come_largest_first_with_both_betas(work: SymbolWork) -> None:
    now, before = np.ones(100), np.ones(100)
    before[[20, 40]] = -0.5, 4.0
    work.parts[0].figures.betas[0, :, 0] = now
    verdict = of(work, BETA_STABLE, previous=before)
    assert [item.reason for item in verdict.offenders] == ["moved by -3.000", "moved by +1.500"]
    assert verdict.offenders[1] == Offender("S12", "moved by +1.500", "-0.500 before, 1.000 now")
    assert verdict.offender_count == 2
