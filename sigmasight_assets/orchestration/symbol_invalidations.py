"""Republish published sessions of symbols whose facts changed afterwards: restated or late bars, splits, dividends.

The price update marks such symbols. Their sessions come before any new one, so that the closes of a symbol are in the
same units in every published session.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from sigmasight_assets.orchestration import symbol_slices
from sigmasight_assets.orchestration.symbol_changes import (
    SymbolChanges,
    find_changes,
    write_exclusions,
)
from sigmasight_assets.orchestration.symbol_checks import judge_symbols
from sigmasight_assets.orchestration.symbol_fingerprints import REGRESSIONS
from sigmasight_assets.orchestration.symbol_ledger import (
    changed_symbols,
    merged,
    republications,
    symbols_with_actions,
    write_and_carry,
)
from sigmasight_assets.orchestration.symbol_outcome import SymbolPublication
from sigmasight_assets.orchestration.symbol_slices import (
    PublicationRun,
    lock_symbol_layer,
    publish_slice,
    slices,
)
from sigmasight_assets.orchestration.symbol_window import LOOKBACK_SESSIONS, read_symbol_window
from sigmasight_assets.orchestration.symbol_work import SymbolWork, prepare_work
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.actions import publish_actions, read_pending_actions
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.calendar import require_calendar
from sigmasight_assets.storage.figures import PRODUCT_TABLES
from sigmasight_assets.storage.invalidations import (
    MARK_SCHEMA,
    Invalidation,
    clear_invalidations,
    mark_invalid,
    read_invalidations,
)
from sigmasight_assets.storage.publications import (
    SYMBOL_PRODUCTS,
    complete_sessions,
    next_generation,
    read_newest_coverage,
    read_products,
    record_publications,
)
from sigmasight_assets.storage.universe import read_universe_in_bulk

PublishedProducts = Mapping[date, AbstractSet[str]]


@dataclass(frozen=True)
class _Group:
    """Marked symbols and what changes of them; ``published`` are the products that each session has published."""

    marks: Sequence[Invalidation]
    published: PublishedProducts
    work: SymbolWork
    changes: SymbolChanges

    @property
    def rows(self) -> dict[date, dict[str, int]]:
        """How many rows differ, by session that has any and by product."""
        sessions = self.work.window.targets.sessions.tolist()
        counts = {
            day: {name: int(differing[row]) for name, differing in self.changes.differing.items()}
            for row, day in enumerate(sessions)
        }
        return {day: of_day for day, of_day in counts.items() if any(of_day.values())}

    @property
    def with_new_exposures(self) -> set[str]:
        """Symbols of which an exposure was written."""
        return {
            self.work.window.grid.symbols[column]
            for block, change in self.changes.changes
            if change.figures.product in REGRESSIONS
            for column in block.columns[change.write.any(axis=0)].tolist()
        }


def settle_invalidations(
    run: PublicationRun, outcome: SymbolPublication, *, only: AbstractSet[str] | None = None
) -> None:
    """Republish what is marked and clear the marks; symbols for which that fails are left in ``outcome.unsettled``.

    Marks that are set meanwhile are settled too; with ``only`` those of other symbols stay.
    """
    while True:
        with run.database.bulk(read_only=True) as transaction:
            marks = [
                item
                for item in read_invalidations(transaction)
                if item.symbol not in outcome.unsettled and (only is None or item.symbol in only)
            ]
            published = read_products(transaction, "symbol")
        if not marks:
            return
        funds: list[Invalidation] = []
        for group in _groups(marks, published, run.calendar):
            funds += _republish_group(run, {item.symbol for item in group}, outcome)
        if funds:
            _republish_universe(run, funds, outcome)


def affected_sessions(item: Invalidation, published: PublishedProducts, calendar: SessionCalendar) -> list[date]:
    """Published sessions, ascending, whose figures of the symbol may rest on what changed.

    And the first that a new or withdrawn corporate action concerns, however long ago its ex-date is.
    """
    last = int(np.searchsorted(calendar.sessions, np.datetime64(item.last_session, "D"))) + LOOKBACK_SESSIONS
    horizon = calendar.sessions[min(last, len(calendar.sessions) - 1)].item()
    sessions = {day for day in published if item.first_session <= day <= horizon}
    return sorted(sessions | _first_with_action(item, published))


def _first_with_action(item: Invalidation, published: PublishedProducts) -> set[date]:
    """The first published session on or after the first ex-date; snapshots after it are built on its own."""
    if item.actions_from is None:
        return set()
    return set(sorted(day for day in published if day >= item.actions_from)[:1])


def _groups(
    marks: Sequence[Invalidation], published: PublishedProducts, calendar: SessionCalendar
) -> Iterator[list[Invalidation]]:
    """Marked symbols whose affected sessions times symbols fit the memory; like ranges come together."""
    group: list[Invalidation] = []
    sessions: set[date] = set()
    for item in sorted(marks, key=lambda item: (item.first_session, item.last_session, item.symbol)):
        wanted = sessions.union(affected_sessions(item, published, calendar))
        if group and len(wanted) * (len(group) + 1) > symbol_slices.SLICE_CELLS:
            yield group
            group, wanted = [], set(affected_sessions(item, published, calendar))
        group.append(item)
        sessions = wanted
    if group:
        yield group


def _republish_group(run: PublicationRun, names: AbstractSet[str], outcome: SymbolPublication) -> list[Invalidation]:
    """Republish the affected sessions of some marked symbols in one transaction, with their corporate actions.

    Returns the marks that stay because the whole universe rests on these symbols.
    """
    with run.transaction() as transaction:
        require_calendar(transaction, run.calendar)
        marks = [item for item in read_invalidations(transaction) if item.symbol in names]
        published = read_products(transaction, "symbol")
        work = _prepare_group(transaction, run, marks, published)
        if work is None:
            clear_invalidations(transaction, marks)
            return []
        failures = judge_symbols(work)
        if failures:
            outcome.verdicts += failures
            outcome.unsettled.update(names)
            return []
        sessions = work.window.targets.sessions.tolist()
        good = {name: np.array([name in published[day] for day in sessions], dtype=np.bool_) for name in PRODUCT_TABLES}
        group = _Group(marks, published, work, find_changes(work, good))
        write_exclusions(transaction, work, good)
        outcome.cells_computed += work.cells_computed
        if ledger := _publish_group(transaction, run.calendar, group, run_id=run.run_id):
            outcome.add_republished(*ledger, symbols=names, rows=group.changes.computed)
        return _clear_or_widen(transaction, group, run_id=run.run_id)


def _prepare_group(
    transaction: BulkTransaction, run: PublicationRun, marks: Sequence[Invalidation], published: PublishedProducts
) -> SymbolWork | None:
    """What is stale of the marked symbols in their affected sessions; None when there is none of either."""
    sessions = sorted({day for item in marks for day in affected_sessions(item, published, run.calendar)})
    names = {item.symbol for item in marks}
    tracked = read_universe_in_bulk(transaction)
    needed = [item for item in tracked if item.symbol in names or item.symbol in FACTOR_ETFS]
    columns = np.array([place for place, item in enumerate(needed) if item.symbol in names], dtype=np.int64)
    if not sessions or not columns.size:
        return None
    window = read_symbol_window(transaction, run.calendar, needed, sessions=sessions)
    return prepare_work(transaction, window.part(np.arange(len(sessions)), columns), products=SYMBOL_PRODUCTS)


def _publish_group(
    transaction: BulkTransaction, calendar: SessionCalendar, group: _Group, *, run_id: str
) -> tuple[int, list[date]] | None:
    """Write rows, corporate actions and ledger under one generation.

    Returns it with its sessions; None, and no generation is taken, if nothing differs.
    """
    work, universe = group.work, len(read_universe_in_bulk(transaction))
    complete = complete_sessions(group.published)
    pending = read_pending_actions(transaction, work.window.grid.symbols)
    own_rows = changed_symbols(work.window.targets, group.changes.cells(work.shape))
    if not own_rows and not any(ex_date <= day for day in complete for _, ex_date, _ in pending):
        # Actions that no published session has reached are published with the first that does.
        return None
    generation = next_generation(transaction)
    publish_actions(transaction, generation, work.window.grid.symbols)
    carried = write_and_carry(transaction, calendar, work, group.changes, generation=generation, wanted=complete)
    ledger = republications(
        merged(own_rows, symbols_with_actions(pending, complete), carried),
        published=group.published,
        coverage=read_newest_coverage(transaction),
        counts=group.rows,
        universe=universe,
    )
    record_publications(transaction, generation, "symbol", ledger, run_id=run_id)
    return generation, [item.session for item in ledger]


def _clear_or_widen(transaction: BulkTransaction, group: _Group, *, run_id: str) -> list[Invalidation]:
    """Clear the marks but for those of factor ETFs with new returns or exposures, on which everybody's rest.

    Returns the marks that stay. They say so themselves, so that they are not forgotten when this run ends here.
    """
    changed = group.with_new_exposures
    kept = [
        item for item in group.marks if item.symbol in FACTOR_ETFS and (item.has_new_returns or item.symbol in changed)
    ]
    names = {item.symbol for item in kept}
    clear_invalidations(transaction, [item for item in group.marks if item.symbol not in names])
    wider = [
        {
            "symbol": item.symbol,
            "first_session": item.first_session,
            "last_session": item.last_session,
            "has_new_returns": True,
        }
        for item in kept
    ]
    mark_invalid(transaction, pa.Table.from_pylist(wider, schema=MARK_SCHEMA), run_id=run_id)
    return [item for item in read_invalidations(transaction) if item.symbol in names]


def _republish_universe(run: PublicationRun, funds: Sequence[Invalidation], outcome: SymbolPublication) -> None:
    """Republish every symbol in the sessions that rest on changed returns of factor ETFs, with all checks.

    The marks of the funds stay when a session fails, and when other symbols were marked meanwhile: those come first.
    """
    names = {item.symbol for item in funds}
    with run.database.bulk(read_only=True) as transaction:
        published = read_products(transaction, "symbol")
    by_products: dict[tuple[str, ...], list[date]] = {}
    for day in sorted({day for item in funds for day in affected_sessions(item, published, run.calendar)}):
        held = tuple(name for name in SYMBOL_PRODUCTS if name in published[day])
        by_products.setdefault(held, []).append(day)
    all_good = True
    for products, days in by_products.items():
        for part in slices(run.database, days):
            done = publish_slice(run, part, products=products, known_marks=names | outcome.unsettled)
            if done is None:
                return
            outcome.add_republished_slice(done, names)
            all_good &= bool(done.judged.good.all())
    if not all_good:
        outcome.unsettled.update(names)
        return
    with run.database.bulk() as transaction:
        lock_symbol_layer(transaction)
        clear_invalidations(transaction, funds)
