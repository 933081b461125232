"""One slice of a range: a transaction that reads its window, judges each session, and commits the good ones whole.

The rows of a session are committed together with its ledger row and with the corporate actions its closes are in
units of; all or nothing of it is seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

import numpy as np

from sigmasight_assets.orchestration.symbol_changes import (
    SymbolChanges,
    find_changes,
    write_changes,
    write_exclusions,
)
from sigmasight_assets.orchestration.symbol_checks import coverage, good_sessions, judge_sessions
from sigmasight_assets.orchestration.symbol_covariances import (
    CovarianceChange,
    covariance_change,
    write_covariances,
)
from sigmasight_assets.orchestration.symbol_window import SymbolWindow, read_symbol_window
from sigmasight_assets.orchestration.symbol_work import SymbolWork, prepare_work
from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.actions import publish_actions
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.figures import PRODUCT_TABLES
from sigmasight_assets.storage.invalidations import read_invalidations
from sigmasight_assets.storage.operations import Verdict, record_verdicts
from sigmasight_assets.storage.publications import (
    Publication,
    lock_layer,
    next_generation,
    read_products,
    record_publications,
)
from sigmasight_assets.storage.universe import read_universe, read_universe_in_bulk

# Cells (sessions x symbols) at a time: bounds the memory of a long backfill to about 1.5 GB.
SLICE_CELLS = 640_000
SLICE_SESSIONS = 128
# The product that holds the published closes.
CLOSES = "symbol_daily_metrics"


@dataclass(frozen=True)
class PublicationRun:
    """What every transaction of one publication shares."""

    database: Database
    calendar: SessionCalendar
    min_coverage: float
    run_id: str


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
    with run.database.bulk() as transaction:
        lock_symbol_layer(transaction)
        marked = frozenset(item.symbol for item in read_invalidations(transaction))
        if known_marks is not None and not marked <= known_marks:
            return None
        judged = _judged_slice(transaction, run, sessions, products=products, force=force)
        generation = _write_slice(transaction, judged, products=products, marked=marked, run_id=run.run_id)
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
    symbols = read_universe_in_bulk(transaction)
    window = read_symbol_window(transaction, run.calendar, symbols, sessions=sessions)
    work = prepare_work(transaction, window, products=products, force=force)
    covariances = None
    if "factor_covariances" in products:
        covariances = covariance_change(transaction, window, work.prints.covariance, force=force)
    previous = _previous_betas(transaction, window)
    verdicts = judge_sessions(work, min_coverage=run.min_coverage, previous_betas=previous)
    good = good_sessions(window, verdicts)
    changes = find_changes(work, {name: good for name in products if name in PRODUCT_TABLES})
    return JudgedSlice(work, changes, covariances, verdicts, good)


def _write_slice(
    transaction: BulkTransaction, judged: JudgedSlice, *, products: Sequence[str], marked: frozenset[str], run_id: str
) -> int | None:
    """Write what differs; returns the generation, None when none was needed."""
    work, differing = judged.work, judged.differing
    write_exclusions(transaction, work, dict.fromkeys(judged.changes.differing, judged.good))
    affected = _affected_sessions(transaction, work.window, differing, good=judged.good, products=products)
    if not affected.any():
        return None
    generation = next_generation(transaction)
    write_changes(transaction, work, judged.changes, generation=generation)
    if judged.covariances is not None:
        selected = differing["factor_covariances"] > 0
        write_covariances(transaction, work.window, judged.covariances, selected, generation=generation)
    if CLOSES in products:
        # Splits and dividends take effect together with the closes stated in their units.
        names = [name for name in work.window.grid.symbols if name not in marked] if marked else None
        publish_actions(transaction, generation, names)
    record_publications(
        transaction, generation, "symbol", _ledger_rows(work, differing, affected, products), run_id=run_id
    )
    return generation


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
    transaction: BulkTransaction,
    window: SymbolWindow,
    differing: Mapping[str, IntArray],
    *,
    good: BoolArray,
    products: Sequence[str],
) -> BoolArray:
    """Good sessions (T,) with changed rows or with a product that was never published."""
    published = read_products(transaction, "symbol")
    affected = np.sum(list(differing.values()), axis=0) > 0
    for row, session in enumerate(window.targets.sessions.tolist()):
        affected[row] |= not set(products) <= published.get(session, set())
    return np.asarray(affected & good)


def _ledger_rows(
    work: SymbolWork, differing: Mapping[str, IntArray], affected: BoolArray, products: Sequence[str]
) -> list[Publication]:
    sessions = work.window.targets.sessions.tolist()
    return [
        Publication(
            session=sessions[row],
            products=tuple(products),
            rows_written=sum(int(counts[row]) for counts in differing.values()),
            coverage=coverage(work, row),
            counts={name: int(counts[row]) for name, counts in differing.items()},
        )
        for row in np.flatnonzero(affected).tolist()
    ]
