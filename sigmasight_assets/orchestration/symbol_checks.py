"""The checks a session must pass before its symbol products are published: pure judgement of computed figures."""

from datetime import date

import numpy as np

from sigmasight_assets.orchestration.symbol_figures import SymbolFigures
from sigmasight_assets.orchestration.symbol_window import SymbolWindow
from sigmasight_assets.quant.arrays import BoolArray, FloatArray
from sigmasight_assets.quant.factors import BETA_CAP, FACTOR_ETFS, Reason
from sigmasight_assets.storage.operations import Verdict

COVERAGE = "coverage"
FACTOR_FUNDS = "factor_etfs_priced"
BARS_VALID = "bars_valid"
BETAS_FINITE = "betas_finite"
BETA_STABLE = "market_beta_stable"
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
NAMED_OFFENDERS = 20


def judge_sessions(
    window: SymbolWindow, figures: SymbolFigures, *, min_coverage: float, previous_betas: FloatArray | None
) -> list[Verdict]:
    """Verdicts of every check for each target session, oldest session first.

    ``previous_betas`` (S,) are the Market Betas of the newest published session before the first one, NaN where there
    is none; a session that fails is not the yardstick of the next.
    """
    verdicts: list[Verdict] = []
    reference = previous_betas
    for row, session in enumerate(window.targets.sessions.tolist()):
        of_session = [
            _coverage(window, figures, row, session, min_coverage),
            _factor_funds(window, figures, row, session),
            _bars_valid(window, figures, row, session),
            _betas_finite(window, figures, row, session),
            _beta_stable(window, figures.exposures.market.beta[row], reference, session),
        ]
        verdicts += of_session
        if all(item.passed or not item.is_blocking for item in of_session):
            reference = figures.exposures.market.beta[row]
    return verdicts


def good_sessions(window: SymbolWindow, verdicts: list[Verdict]) -> BoolArray:
    """Which target sessions (T,) pass every blocking check."""
    bad = {item.session for item in verdicts if item.is_blocking and not item.passed}
    return np.array([session not in bad for session in window.targets.sessions.tolist()], dtype=np.bool_)


def named(symbols: list[str]) -> str:
    """The first offenders by name and how many more there are."""
    more = len(symbols) - NAMED_OFFENDERS
    return ", ".join(symbols[:NAMED_OFFENDERS]) + (f" and {more} more" if more > 0 else "")


def _names(window: SymbolWindow, selected: BoolArray) -> list[str]:
    return [window.grid.symbols[position] for position in np.flatnonzero(selected)]


def _coverage(window: SymbolWindow, figures: SymbolFigures, row: int, session: date, needed: float) -> Verdict:
    active, priced = figures.active[row], figures.priced[row]
    missing = _names(window, active & ~priced)
    share = float((active & priced).sum() / active.sum()) if active.any() else 0.0
    detail = f"{int((active & priced).sum())} of {int(active.sum())} active symbols have a bar ({share:.2%})"
    detail += f", {needed:.2%} needed"
    # A source that has lost part of the market must not pass because it says so itself.
    unknown = _names(window, figures.without_data[row])
    detail += f"; tracked but without any data: {named(unknown)}" if unknown else ""
    detail += f"; without: {named(missing)}" if missing else ""
    known = len(window.symbols) - len(unknown)
    # One mistyped ticker must not stop a small universe.
    enough = share >= needed and (len(unknown) <= 1 or known / len(window.symbols) >= needed)
    return Verdict(COVERAGE, session, enough, detail)


def _factor_funds(window: SymbolWindow, figures: SymbolFigures, row: int, session: date) -> Verdict:
    missing = _names(window, (window.own >= 0) & ~figures.priced[row])
    detail = f"no bar of {', '.join(missing)}" if missing else f"all of {', '.join(FACTOR_ETFS)}"
    return Verdict(FACTOR_FUNDS, session, not missing, detail)


def _bars_valid(window: SymbolWindow, figures: SymbolFigures, row: int, session: date) -> Verdict:
    position = window.rows[row]
    adj_close, volume = window.adj_close[position], window.volume[position]
    wrong = figures.priced[row] & ~(np.isfinite(adj_close) & (adj_close > 0) & (volume >= 0))
    offenders = _names(window, wrong)
    detail = f"invalid: {named(offenders)}" if offenders else f"{int(figures.priced[row].sum())} bars"
    return Verdict(BARS_VALID, session, not offenders, detail)


def _betas_finite(window: SymbolWindow, figures: SymbolFigures, row: int, session: date) -> Verdict:
    exposures = figures.exposures
    wrong = np.zeros(len(window.symbols), dtype=np.bool_)
    for estimates in (exposures.market, exposures.rates, *exposures.spreads):
        sound = (np.abs(estimates.beta[row]) <= BETA_CAP) & np.isfinite(estimates.std_err[row])
        wrong |= (estimates.reason[row] == Reason.NONE) & ~sound
    ridge_sound = (np.abs(exposures.ridge.beta[row]) <= BETA_CAP).all(axis=1)
    wrong |= (exposures.ridge.reason[row] == Reason.NONE) & ~ridge_sound
    offenders = _names(window, wrong)
    published = int((exposures.market.reason[row] == Reason.NONE).sum())
    detail = f"not finite or beyond +-{BETA_CAP:g}: {named(offenders)}" if offenders else f"{published} symbols"
    return Verdict(BETAS_FINITE, session, not offenders, detail)


def _beta_stable(window: SymbolWindow, betas: FloatArray, reference: FloatArray | None, session: date) -> Verdict:
    moves = np.abs(betas - reference) if reference is not None else np.full(len(betas), np.nan)
    known = np.isfinite(moves)
    if not known.any():
        return Verdict(BETA_STABLE, session, passed=True, detail="no previous session to compare with")
    median = float(np.median(moves[known]))
    large = known & (np.nan_to_num(moves) > LARGE_MOVE)
    share = float(large.sum() / known.sum())
    sound = median <= LARGEST_MEDIAN_MOVE and share <= LARGEST_SHARE_OF_LARGE_MOVES
    offenders = _names(window, large)
    return Verdict(
        BETA_STABLE,
        session,
        passed=sound and median <= NOTABLE_MEDIAN_MOVE,
        detail=f"median move {median:.3f}, {share:.2%} beyond {LARGE_MOVE}"
        + (f": {named(offenders)}" if offenders else ""),
        # A notable move is a warning: the session is published.
        is_blocking=not sound or median <= NOTABLE_MEDIAN_MOVE,
    )
