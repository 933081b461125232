"""Which symbols a publication names at each session: of who holds none of them nothing has to be computed again.

Named are the symbols with rows that are new, changed or gone, those of which a changed close or beta is carried to a
session without its own, and those whose corporate actions take effect. Only sessions that were complete before name
symbols, for nobody has seen anything of the others.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np

from sigmasight_assets.market_data.protocol import SPLIT
from sigmasight_assets.orchestration.symbol_changes import SymbolChanges, write_changes
from sigmasight_assets.orchestration.symbol_work import SymbolWork
from sigmasight_assets.quant.arrays import BoolArray, FloatArray
from sigmasight_assets.quant.carried_prices import CARRIED_SESSIONS
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS, Publication, complete_sessions
from sigmasight_assets.storage.published import read_published_figures

Names = dict[date, set[str]]

# The product that holds the published closes and, beside them, the betas.
CLOSES = "symbol_daily_metrics"
# One part in so many of the universe is the most that a publication names: more is as good as any.
NAMED_PART = 4


def changed_symbols(targets: Grid, cells: BoolArray) -> Names:
    """The symbols with a changed cell (T, S) of the targets, by session."""
    return {
        targets.sessions[row].item(): {targets.symbols[column] for column in np.flatnonzero(cells[row]).tolist()}
        for row in np.flatnonzero(cells.any(axis=1)).tolist()
    }


def symbols_with_actions(actions: Iterable[tuple[str, date, str]], complete: Collection[date]) -> Names:
    """The symbols of actions (symbol, ex-date, kind) by the complete sessions at which these count.

    A dividend is paid at the first session on or after its ex-date, and later snapshots build on that one. A split
    is between earlier lots and the prices of every session, which are all in the newest units.
    """
    days, names = sorted(complete), Names()
    for symbol, ex_date, kind in actions:
        first = bisect_left(days, ex_date)
        for day in days if kind == SPLIT else days[first : first + 1]:
            names.setdefault(day, set()).add(symbol)
    return names


def merged(*parts: Names) -> Names:
    """All that the parts name."""
    names = Names()
    for part in parts:
        for day, symbols in part.items():
            names.setdefault(day, set()).update(symbols)
    return names


@dataclass(frozen=True)
class CarriedFigures:
    """What a write of daily metrics may change beyond its own rows, read before the write.

    ``grid`` has N consecutive sessions and the S symbols with rows to be written; ``figures`` (N, S, 14) are closes and
    betas as they were, NaN where there was none. ``wanted`` are the sessions that may name symbols.
    """

    grid: Grid
    figures: FloatArray
    wanted: Collection[date]

    @classmethod
    def before_write(
        cls,
        transaction: BulkTransaction,
        calendar: SessionCalendar,
        targets: Grid,
        cells: BoolArray,
        wanted: Collection[date],
    ) -> Self | None:
        """Read the figures as they are, given the cells (T, S) of the targets that will be written.

        None when no figure can be carried from them to a wanted session.
        """
        days = np.array(sorted(wanted), dtype="datetime64[D]")
        place = np.flatnonzero(np.isin(calendar.sessions, days))
        rows = np.flatnonzero(cells.any(axis=1) & np.isin(targets.sessions, calendar.sessions))
        written = np.searchsorted(calendar.sessions, targets.sessions[rows])
        ages = place[:, None] - written
        reached = place[((ages > 0) & (ages <= CARRIED_SESSIONS)).any(axis=1)]
        if not reached.size:
            return None
        first, last = max(0, int(reached[0]) - CARRIED_SESSIONS), int(reached[-1])
        columns = np.flatnonzero(cells[rows[(written >= first) & (written <= last)]].any(axis=0)).tolist()
        grid = Grid(calendar.sessions[first : last + 1], tuple(targets.symbols[column] for column in columns))
        return cls(grid, _figures(transaction, grid), wanted)

    def symbols(self, transaction: BulkTransaction) -> Names:
        """Read the figures after the write: the symbols of which others are in force, by wanted session."""
        names = changed_symbols(self.grid, changes_in_force(self.figures, _figures(transaction, self.grid)))
        return {day: symbols for day, symbols in names.items() if day in self.wanted}


def _figures(transaction: BulkTransaction, grid: Grid) -> FloatArray:
    """Published closes and betas (N, S, 14), NaN where there is none."""
    closes, betas = read_published_figures(transaction, grid)
    known = np.where(closes == 0, np.nan, closes.astype(np.float64))
    return np.concatenate((known[:, :, None], betas), axis=2)


def changes_in_force(before: FloatArray, after: FloatArray) -> BoolArray:
    """Where (N, S) one of the figures (N, S, K) in force differs.

    In force is a session's own, or else the newest of the five sessions before it; NaN is a figure that is not there.
    What lies before the first session cannot be carried.
    """
    old, new = _in_force(before), _in_force(after)
    differs: BoolArray = ((old != new) & ~(np.isnan(old) & np.isnan(new))).any(axis=2)
    return differs


def _in_force(figures: FloatArray) -> FloatArray:
    newest = figures.copy()
    for age in range(1, min(CARRIED_SESSIONS, len(figures) - 1) + 1):
        newest[age:] = np.where(np.isnan(newest[age:]), figures[:-age], newest[age:])
    return newest


def write_and_carry(
    transaction: BulkTransaction,
    calendar: SessionCalendar,
    work: SymbolWork,
    changes: SymbolChanges,
    *,
    generation: int,
    wanted: Collection[date],
) -> Names:
    """Write the rows; returns the symbols of which other figures are in force than before, by wanted session."""
    cells = changes.cells(work.shape, CLOSES)
    carried = CarriedFigures.before_write(transaction, calendar, work.window.targets, cells, wanted)
    write_changes(transaction, work, changes, generation=generation)
    return Names() if carried is None else carried.symbols(transaction)


def named(symbols: AbstractSet[str], universe: int) -> tuple[str, ...] | None:
    """The symbols in order; None when they are more than a quarter of the universe."""
    return None if len(symbols) * NAMED_PART > universe else tuple(sorted(symbols))


def republications(
    names: Names,
    *,
    published: Mapping[date, AbstractSet[str]],
    coverage: Mapping[date, float | None],
    counts: Mapping[date, dict[str, int]],
    universe: int,
) -> list[Publication]:
    """Ledger rows of published sessions with what changed of them, oldest first; ``counts`` are rows by product."""
    complete = complete_sessions(published)
    return [
        Publication(
            session=day,
            products=tuple(name for name in SYMBOL_PRODUCTS if name in published[day]),
            rows_written=sum(counts.get(day, {}).values()),
            coverage=coverage[day],
            counts=counts.get(day, {}),
            symbols=named(names[day], universe) if day in complete else None,
        )
        for day in sorted(names)
    ]
