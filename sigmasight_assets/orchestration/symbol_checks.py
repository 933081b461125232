"""The checks a session must pass before its symbol products are published: pure judgement of what will be published.

Coverage, factor ETFs and bars are judged from the inputs of every session; betas where any was computed.
"""

from collections.abc import Collection
from datetime import date

import numpy as np

from sigmasight_assets.operations.check_assets import BARS_VALID, BETA_STABLE, BETAS_FINITE, COVERAGE, FACTOR_FUNDS
from sigmasight_assets.orchestration.offenders import (
    invalid_bars,
    large_moves,
    unsound_estimates,
    without_bar,
    without_data,
)
from sigmasight_assets.orchestration.symbol_window import SymbolWindow
from sigmasight_assets.orchestration.symbol_work import SymbolWork
from sigmasight_assets.quant.arrays import BoolArray, FloatArray
from sigmasight_assets.quant.factors import BETA_CAP, FACTOR_ETFS, Reason
from sigmasight_assets.quant.regression import SymbolExposures
from sigmasight_assets.storage.operations import NAMED_OFFENDERS, Verdict

CHECKS = {
    COVERAGE: "Enough of the symbols active at the session have a bar",
    FACTOR_FUNDS: "All eight factor ETFs have a bar",
    BARS_VALID: "Every bar read is finite and positive",
    BETAS_FINITE: "Every published beta is finite and within its bound, every OLS beta has a standard error",
    BETA_STABLE: "Market betas moved no more than they ever do from one session to the next",
}
# On real prices of 2021 to 2025 the worst median move was 0.134 and the worst share of large moves 0.4 %.
LARGEST_MEDIAN_MOVE = 0.25
NOTABLE_MEDIAN_MOVE = 0.10
LARGE_MOVE = 1.0
LARGEST_SHARE_OF_LARGE_MOVES = 0.01
FRESH = "fresh: no beta was computed"


def judge_sessions(
    work: SymbolWork,
    *,
    min_coverage: float,
    previous_betas: FloatArray | None,
    refused: Collection[str] = (),
) -> list[Verdict]:
    """Verdicts of every check for each target session, oldest session first.

    ``previous_betas`` (S,) are the Market Betas of the newest published session before the first one, NaN where there
    is none; a session that fails is not the yardstick of the next. ``refused`` are symbols that somebody asked for in
    vain: without data, they do not count.
    """
    betas, unsound = work.market_betas, unsound_betas(work)
    is_fresh: BoolArray = ~np.any(work.is_computed, axis=1)
    verdicts: list[Verdict] = []
    reference = previous_betas
    for row, session in enumerate(work.window.targets.sessions.tolist()):
        of_session = [
            _coverage(work, row, session, min_coverage, refused),
            _factor_funds(work, row, session),
            _bars_valid(work, row, session),
        ]
        if is_fresh[row]:
            of_session += [Verdict(check, session, passed=True, detail=FRESH) for check in (BETAS_FINITE, BETA_STABLE)]
        else:
            of_session.append(_betas_finite(work, row, betas[row], unsound[row]))
            of_session.append(_beta_stable(work.window, betas[row], reference, session))
        verdicts += of_session
        if all(item.passed or not item.is_blocking for item in of_session):
            reference = betas[row]
    return verdicts


def judge_symbols(work: SymbolWork) -> list[Verdict]:
    """What fails of the checks that concern symbols one by one, at any target session."""
    betas, unsound = work.market_betas, unsound_betas(work)
    verdicts: list[Verdict] = []
    for row, session in enumerate(work.window.targets.sessions.tolist()):
        verdicts.append(_bars_valid(work, row, session))
        verdicts.append(_betas_finite(work, row, betas[row], unsound[row]))
    return [item for item in verdicts if not item.passed]


def good_sessions(window: SymbolWindow, verdicts: list[Verdict]) -> BoolArray:
    """Which target sessions (T,) pass every blocking check."""
    bad = {item.session for item in verdicts if item.is_blocking and not item.passed}
    return np.array([session not in bad for session in window.targets.sessions.tolist()], dtype=np.bool_)


def unsound_betas(work: SymbolWork) -> BoolArray:
    """Cells (T, S) that were computed and hold a beta or standard error that must not be published."""
    unsound = np.zeros(work.shape, dtype=np.bool_)
    for part in work.parts:
        unsound[part.block.cells] = unsound_cells(part.figures.exposures)
    return unsound


def unsound_cells(exposures: SymbolExposures) -> BoolArray:
    """Where (sessions, symbols) an estimate that has a value is not finite or beyond its bound."""
    unsound = np.zeros(exposures.market.beta.shape, dtype=np.bool_)
    for estimates in (exposures.market, exposures.rates, *exposures.spreads):
        sound = (np.abs(estimates.beta) <= BETA_CAP) & np.isfinite(estimates.std_err)
        unsound |= (estimates.reason == Reason.NONE) & ~sound
    ridge_sound = (np.abs(exposures.ridge.beta) <= BETA_CAP).all(axis=2)
    unsound |= (exposures.ridge.reason == Reason.NONE) & ~ridge_sound
    return unsound


def coverage(work: SymbolWork, row: int) -> float:
    """Share of the symbols active at a target session that have a bar; 0 when none is active."""
    active = work.states.active[row]
    return float((active & work.states.priced[row]).sum() / max(1, active.sum()))


def named(symbols: list[str]) -> str:
    """The first offenders by name and how many more there are."""
    more = len(symbols) - NAMED_OFFENDERS
    return ", ".join(symbols[:NAMED_OFFENDERS]) + (f" and {more} more" if more > 0 else "")


def _names(window: SymbolWindow, selected: BoolArray) -> list[str]:
    return [window.grid.symbols[position] for position in np.flatnonzero(selected)]


def _coverage(work: SymbolWork, row: int, session: date, needed: float, refused: Collection[str]) -> Verdict:
    states = work.states
    active, priced = states.active[row], states.priced[row]
    missing = _names(work.window, active & ~priced)
    share = coverage(work, row)
    detail = f"{int((active & priced).sum())} of {int(active.sum())} active symbols have a bar ({share:.2%})"
    detail += f", {needed:.2%} needed"
    # A source that has lost part of the market must not pass because it says so itself; what owners mistype, and the
    # source has refused when it was asked for, tells nothing of the source.
    unheard = _names(work.window, states.without_data)
    unknown = [symbol for symbol in unheard if symbol not in refused]
    detail += f"; tracked but without any data: {named(unknown)}" if unknown else ""
    detail += f"; without: {named(missing)}" if missing else ""
    tracked = int(states.counted.sum()) - (len(unheard) - len(unknown))
    # One mistyped ticker must not stop a small universe.
    enough = share >= needed and (len(unknown) <= 1 or (tracked - len(unknown)) / tracked >= needed)
    is_unknown = np.isin(work.window.grid.symbols, unknown)
    offenders = (*without_bar(work.window, active & ~priced), *without_data(work.window, is_unknown))
    return Verdict(COVERAGE, session, enough, detail, offenders=offenders, offender_count=len(missing) + len(unknown))


def _factor_funds(work: SymbolWork, row: int, session: date) -> Verdict:
    unpriced = (work.window.own >= 0) & ~work.states.priced[row]
    missing = _names(work.window, unpriced)
    detail = f"no bar of {', '.join(missing)}" if missing else f"all of {', '.join(FACTOR_ETFS)}"
    offenders = without_bar(work.window, unpriced)
    return Verdict(FACTOR_FUNDS, session, not missing, detail, offenders=offenders, offender_count=len(missing))


def _bars_valid(work: SymbolWork, row: int, session: date) -> Verdict:
    window, priced = work.window, work.states.priced[row]
    position = window.rows[row]
    adj_close, volume = window.adj_close[position], window.volume[position]
    wrong = priced & ~(np.isfinite(adj_close) & (adj_close > 0) & (volume >= 0))
    offenders = _names(window, wrong)
    detail = f"invalid: {named(offenders)}" if offenders else f"{int(priced.sum())} bars"
    found = invalid_bars(window, int(position), wrong)
    return Verdict(BARS_VALID, session, not offenders, detail, offenders=found, offender_count=len(offenders))


def _betas_finite(work: SymbolWork, row: int, betas: FloatArray, unsound: BoolArray) -> Verdict:
    session, offenders = work.window.targets.sessions[row].item(), _names(work.window, unsound)
    published = int(np.isfinite(betas).sum())
    detail = f"not finite or beyond +-{BETA_CAP:g}: {named(offenders)}" if offenders else f"{published} symbols"
    found = unsound_estimates(work, row, unsound)
    return Verdict(BETAS_FINITE, session, not offenders, detail, offenders=found, offender_count=len(offenders))


def _beta_stable(window: SymbolWindow, betas: FloatArray, reference: FloatArray | None, session: date) -> Verdict:
    moves = np.abs(betas - reference) if reference is not None else np.full(len(betas), np.nan)
    known = np.isfinite(moves)
    if not known.any():
        return Verdict(BETA_STABLE, session, passed=True, detail="no previous session to compare with")
    median = float(np.median(moves[known]))
    large = known & (np.nan_to_num(moves) > LARGE_MOVE)
    share = float(large.sum() / known.sum())
    offenders = _names(window, large)
    # The leap of one symbol must not stop a small universe.
    is_alone = len(offenders) <= 1
    sound = median <= LARGEST_MEDIAN_MOVE and (is_alone or share <= LARGEST_SHARE_OF_LARGE_MOVES)
    return Verdict(
        BETA_STABLE,
        session,
        passed=sound and median <= NOTABLE_MEDIAN_MOVE,
        detail=f"median move {median:.3f}, {share:.2%} beyond {LARGE_MOVE}"
        + (f": {named(offenders)}" if offenders else ""),
        # A notable move is a warning: the session is published.
        is_blocking=not sound or median <= NOTABLE_MEDIAN_MOVE,
        offenders=large_moves(window, reference, betas, large) if reference is not None else (),
        offender_count=len(offenders),
    )
