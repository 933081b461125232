"""Who keeps a check from passing, each with why and the numbers: the first so many of a session."""

from collections.abc import Iterator

import numpy as np

from sigmasight_assets.orchestration.symbol_window import SymbolWindow
from sigmasight_assets.orchestration.symbol_work import SymbolWork
from sigmasight_assets.quant.arrays import BoolArray, FloatArray
from sigmasight_assets.quant.factors import BETA_CAP, Reason
from sigmasight_assets.quant.regression import SymbolExposures
from sigmasight_assets.storage.operations import NAMED_OFFENDERS, Offender
from sigmasight_assets.storage.tables import MARKET_COLUMN, RATES_COLUMN, RIDGE_COLUMNS, SPREAD_COLUMNS

Offenders = tuple[Offender, ...]


def without_bar(window: SymbolWindow, missing: BoolArray) -> Offenders:
    """Symbols (S,) without a bar at the session, with the newest one that is stored of each."""
    return tuple(
        Offender(item.symbol, "no bar at the session", f"newest bar {item.last_price_date or 'none'}, {item.status}")
        for item in (window.symbols[position] for position in _first(missing))
    )


def without_data(window: SymbolWindow, missing: BoolArray) -> Offenders:
    """Symbols (S,) that the market has never sent a price of."""
    return tuple(
        Offender(item.symbol, item.status_reason or "the market has nothing of it", "no bar at all")
        for item in (window.symbols[position] for position in _first(missing))
    )


def invalid_bars(window: SymbolWindow, row: int, wrong: BoolArray) -> Offenders:
    """Symbols (S,) whose bar at the row of the window breaks a rule, with the values."""
    return tuple(
        Offender(
            window.grid.symbols[position],
            "not finite, not positive, or a negative volume",
            f"adjusted close {window.adj_close[row, position]:g} USD, volume {window.volume[row, position]:g} shares",
        )
        for position in _first(wrong)
    )


def unsound_estimates(work: SymbolWork, row: int, unsound: BoolArray) -> Offenders:
    """Symbols (S,) with an estimate that must not be published at the target ``row``, with the first such estimate."""
    return tuple(
        Offender(work.window.grid.symbols[position], *_first_unsound(work, row, position))
        for position in _first(unsound)
    )


def large_moves(window: SymbolWindow, before: FloatArray, now: FloatArray, large: BoolArray) -> Offenders:
    """Symbols (S,) whose Market Beta moved far since the session before, the largest move first."""
    moves = np.where(large, np.abs(now - before), -1.0)
    positions = np.argsort(-moves, kind="stable")[: min(NAMED_OFFENDERS, int(large.sum()))]
    return tuple(
        Offender(
            window.grid.symbols[position],
            f"moved by {now[position] - before[position]:+.3f}",
            f"{before[position]:.3f} before, {now[position]:.3f} now",
        )
        for position in positions.tolist()
    )


def _first(selected: BoolArray) -> list[int]:
    return [int(position) for position in np.flatnonzero(selected)[:NAMED_OFFENDERS]]


def _first_unsound(work: SymbolWork, row: int, column: int) -> tuple[str, str]:
    """Why, and the numbers, of the first estimate of a cell that is not finite or beyond its bound."""
    for part in work.parts:
        rows, columns = np.flatnonzero(part.block.rows == row), np.flatnonzero(part.block.columns == column)
        if rows.size and columns.size:
            for factor, beta, std_err in _estimates(part.figures.exposures, (int(rows[0]), int(columns[0]))):
                if not np.isfinite(beta) or abs(beta) > BETA_CAP:
                    return f"{factor} beta not finite or beyond +-{BETA_CAP:g}", f"beta {beta:g}"
                if not np.isfinite(std_err):
                    return (
                        f"{factor} beta without a finite standard error",
                        f"beta {beta:g}, standard error {std_err:g}",
                    )
    return "not finite or beyond its bound", ""


def _estimates(exposures: SymbolExposures, cell: tuple[int, int]) -> Iterator[tuple[str, float, float]]:
    """Name, beta and standard error of the estimates of a cell that have a value; ridge has no error, here 0."""
    single = [exposures.market, exposures.rates, *exposures.spreads]
    for factor, each in zip((MARKET_COLUMN, RATES_COLUMN, *SPREAD_COLUMNS), single, strict=True):
        if each.reason[cell] == Reason.NONE:
            yield factor, float(each.beta[cell]), float(each.std_err[cell])
    if exposures.ridge.reason[cell] == Reason.NONE:
        for factor, beta in zip(RIDGE_COLUMNS, exposures.ridge.beta[cell].tolist(), strict=True):
            yield factor, beta, 0.0
