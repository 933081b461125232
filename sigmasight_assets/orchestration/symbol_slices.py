"""One slice of a range: a transaction that reads its window, judges each session, and commits the good ones whole.

The rows of a session are committed together with its ledger row and with the corporate actions its closes are in
units of; all or nothing of it is seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from sigmasight_assets.orchestration.part_times import PartTimes
from sigmasight_assets.orchestration.symbol_changes import (
    SymbolChanges,
    find_changes,
    write_exclusions,
)
from sigmasight_assets.orchestration.symbol_checks import coverage, good_sessions, judge_sessions
from sigmasight_assets.orchestration.symbol_covariances import (
    CovarianceChange,
    covariance_change,
    write_covariances,
)
from sigmasight_assets.orchestration.symbol_ledger import (
    CLOSES,
    Names,
    changed_symbols,
    merged,
    named,
    republications,
    symbols_with_actions,
    write_and_carry,
)
from sigmasight_assets.orchestration.symbol_window import SymbolWindow, read_symbol_window
from sigmasight_assets.orchestration.symbol_work import SymbolWork, build_work, read_stored
from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.actions import publish_actions, read_pending_actions
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.calendar import require_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.figures import PRODUCT_TABLES
from sigmasight_assets.storage.invalidations import read_invalidations
from sigmasight_assets.storage.onboarding import read_refused_in_bulk
from sigmasight_assets.storage.operations import Verdict, record_verdicts
from sigmasight_assets.storage.publications import (
    Publication,
    complete_sessions,
    lock_layer,
    next_generation,
    read_newest_coverage,
    read_products,
    record_publications,
)
from sigmasight_assets.storage.universe import read_universe, read_universe_in_bulk

# Cells (sessions x symbols) at a time: bounds the memory of a long backfill to about 1.5 GB.
SLICE_CELLS = 640_000
SLICE_SESSIONS = 128


@dataclass(frozen=True)
class PublicationRun:
    """What every transaction of one publication shares, and how long its parts took."""

    database: Database
    calendar: SessionCalendar
    min_coverage: float
    run_id: str
    times: PartTimes = field(default_factory=PartTimes)

    def transaction(self) -> AbstractContextManager[BulkTransaction]:
        """A transaction that may write symbol products."""
        return self.times.transaction(self.database, lock_symbol_layer)


@dataclass(frozen=True)
class JudgedSlice:
    """A slice before it is written: what differs, and which of its T sessions are ``good`` (T,).

    ``covariances`` is None when that product was not chosen.
    """

    work: SymbolWork
    changes: SymbolChanges
    covariances: CovarianceChange | None
    verdicts: list[Verdict]
    good: BoolArray

    @property
    def differing(self) -> dict[str, IntArray]:
        """Rows of good sessions that are new, changed or gone, by product (T,)."""
        none = np.zeros(len(self.good), dtype=np.bool_)
        matrices = none if self.covariances is None else self.covariances.written & self.good
        return {**self.changes.differing, "factor_covariances": matrices.astype(np.int64)}


@dataclass(frozen=True)
class PublishedSlice:
    """A slice that was committed; ``generation`` is None when nothing differed."""

    judged: JudgedSlice
    generation: int | None


def slices(database: Database, sessions: Sequence[date]) -> Iterator[Sequence[date]]:
    """Cut sessions so that each slice, with all tracked symbols, fits the memory."""
    with database.begin() as connection:
        symbols = len(read_universe(connection))
    size = max(1, min(SLICE_SESSIONS, SLICE_CELLS // max(1, symbols)))
    for first in range(0, len(sessions), size):
        yield sessions[first : first + size]


def lock_symbol_layer(transaction: BulkTransaction) -> None:
    """Keep others from writing symbol products and the prices they are made of until the transaction ends."""
    lock_layer(transaction, "symbol")
    lock_layer(transaction, "prices")


def publish_slice(
    run: PublicationRun,
    sessions: Sequence[date],
    *,
    products: Sequence[str],
    force: bool = False,
    known_marks: AbstractSet[str] | None = None,
) -> PublishedSlice | None:
    """Bring the chosen products of the sessions up to date; those that fail a check stay as they were.

    Returns None, with nothing done, when a symbol outside ``known_marks`` has come to be marked: the sessions before
    these must be republished first. With None for ``known_marks`` marks do not matter.
    """
    with run.transaction() as transaction:
        require_calendar(transaction, run.calendar)
        marked = frozenset(item.symbol for item in read_invalidations(transaction))
        if known_marks is not None and not marked <= known_marks:
            return None
        judged = _judged_slice(transaction, run, sessions, products=products, force=force)
        with run.times.part("writing"):
            generation = _write_slice(transaction, run, judged, products=products, marked=marked)
    with run.database.begin() as connection:
        record_verdicts(connection, judged.verdicts, layer="symbol", run_id=run.run_id)
    return PublishedSlice(judged, generation)


def _judged_slice(
    transaction: BulkTransaction,
    run: PublicationRun,
    sessions: Sequence[date],
    *,
    products: Sequence[str],
    force: bool,
) -> JudgedSlice:
    with run.times.part("reading"):
        symbols = read_universe_in_bulk(transaction)
        window = read_symbol_window(transaction, run.calendar, symbols, sessions=sessions)
        stored = read_stored(transaction, window, products)
        previous = _previous_betas(transaction, window)
        refused = read_refused_in_bulk(transaction)
    with run.times.part("computing"):
        work = build_work(window, stored, products=products, force=force)
        covariances = None
        if "factor_covariances" in products:
            covariances = covariance_change(transaction, window, work.prints.covariance, force=force)
    with run.times.part("checking"):
        verdicts = judge_sessions(work, min_coverage=run.min_coverage, previous_betas=previous, refused=refused)
        good = good_sessions(window, verdicts)
        changes = find_changes(work, {name: good for name in products if name in PRODUCT_TABLES})
    return JudgedSlice(work, changes, covariances, verdicts, good)


def _write_slice(
    transaction: BulkTransaction,
    run: PublicationRun,
    judged: JudgedSlice,
    *,
    products: Sequence[str],
    marked: frozenset[str],
) -> int | None:
    """Write what differs; returns the generation, None when none was needed."""
    work = judged.work
    write_exclusions(transaction, work, dict.fromkeys(judged.changes.differing, judged.good))
    published = read_products(transaction, "symbol")
    affected = _affected_sessions(published, judged, products=products)
    if not affected.any():
        return None
    generation = next_generation(transaction)
    if judged.covariances is not None:
        selected = judged.differing["factor_covariances"] > 0
        write_covariances(transaction, work.window, judged.covariances, selected, generation=generation)
    actions = []
    if CLOSES in products:
        # Splits and dividends take effect together with the closes stated in their units.
        unmarked = [name for name in work.window.grid.symbols if name not in marked] if marked else None
        actions = read_pending_actions(transaction, unmarked)
        publish_actions(transaction, generation, unmarked)
    names = _write_rows(transaction, run, judged, published, generation=generation)
    days = work.window.targets.sessions[affected].tolist()
    now_complete = complete_sessions(published | {day: published.get(day, set()) | {*products} for day in days})
    names = merged(names, symbols_with_actions(actions, now_complete))
    ledger = _ledger_rows(transaction, judged, affected, names, published, products=products)
    record_publications(transaction, generation, "symbol", ledger, run_id=run.run_id)
    return generation


def _write_rows(
    transaction: BulkTransaction,
    run: PublicationRun,
    judged: JudgedSlice,
    published: Mapping[date, AbstractSet[str]],
    *,
    generation: int,
) -> Names:
    """Write the rows that differ; returns the symbols of which figures in force differ, by session."""
    work, universe = judged.work, len(judged.work.window.grid.symbols)
    own = changed_symbols(work.window.targets, judged.changes.cells(work.shape))
    # Sessions that name no symbol, because there are too many, need not be told of more.
    wanted = complete_sessions(published) - {day for day, symbols in own.items() if named(symbols, universe) is None}
    return merged(
        own, write_and_carry(transaction, run.calendar, work, judged.changes, generation=generation, wanted=wanted)
    )


def _previous_betas(transaction: BulkTransaction, window: SymbolWindow) -> FloatArray:
    """Market Betas (S,) of the newest published session before the slice, NaN where there is none."""
    first = window.targets.sessions[0].item()
    rows = transaction.read(
        "SELECT symbol, beta FROM symbol_market_beta "
        "WHERE session = (SELECT max(session) FROM symbol_market_beta WHERE session < $1)",
        (first,),
    )
    by_symbol = dict(zip(rows.column("symbol").to_pylist(), rows.column("beta").to_pylist(), strict=True))
    return np.array([by_symbol.get(symbol, np.nan) for symbol in window.grid.symbols], dtype=np.float64)


def _affected_sessions(
    published: Mapping[date, AbstractSet[str]], judged: JudgedSlice, *, products: Sequence[str]
) -> BoolArray:
    """Good sessions (T,) with changed rows or with a product that was never published."""
    affected = np.sum(list(judged.differing.values()), axis=0) > 0
    for row, session in enumerate(judged.work.window.targets.sessions.tolist()):
        affected[row] |= not set(products) <= published.get(session, set())
    return np.asarray(affected & judged.good)


def _ledger_rows(
    transaction: BulkTransaction,
    judged: JudgedSlice,
    affected: BoolArray,
    names: Names,
    published: Mapping[date, AbstractSet[str]],
    *,
    products: Sequence[str],
) -> list[Publication]:
    """Of the affected sessions, and of complete ones for which symbols are named all the same."""
    work, differing, complete = judged.work, judged.differing, complete_sessions(published)
    sessions, universe = work.window.targets.sessions.tolist(), len(work.window.grid.symbols)
    own = [
        Publication(
            session=sessions[row],
            products=tuple(products),
            rows_written=sum(int(counts[row]) for counts in differing.values()),
            coverage=coverage(work, row),
            counts={name: int(counts[row]) for name, counts in differing.items()},
            symbols=named(names.get(sessions[row], set()), universe) if sessions[row] in complete else None,
        )
        for row in np.flatnonzero(affected).tolist()
    ]
    others = {day: names[day] for day in names.keys() & complete - {item.session for item in own}}
    newest = read_newest_coverage(transaction) if others else {}
    return own + republications(others, published=published, coverage=newest, counts={}, universe=universe)
