"""Compute, check and publish the portfolio products of a range, slice by slice; no Dagster here.

Both products are one publication: their rows of a portfolio and session share a fingerprint, and are replaced
together when it differs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa

from sigmasight_assets.errors import NotReadyError
from sigmasight_assets.orchestration.option_expiry import settle_options
from sigmasight_assets.orchestration.portfolio_rows import compute_portfolio_rows
from sigmasight_assets.quant.arrays import BoolArray, IntArray
from sigmasight_assets.quant.carried_prices import CARRIED_SESSIONS
from sigmasight_assets.quant.ledger_identity import identity_violations
from sigmasight_assets.quant.lots import LedgerState
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.books import Books, read_books, read_ledger_state
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.lot_terms import NAMED_OFFENDERS, naming_portfolios
from sigmasight_assets.storage.operations import Verdict, record_verdicts
from sigmasight_assets.storage.publications import (
    Publication,
    lock_layer,
    next_generation,
    read_symbol_generations,
    record_publications,
)
from sigmasight_assets.storage.published import read_published_betas, read_published_closes
from sigmasight_assets.storage.snapshots import (
    PortfolioRows,
    find_changed_snapshots,
    read_consumed,
    record_consumed,
    replace_snapshots,
)

PRODUCTS = ("portfolio_snapshots", "portfolio_factor_exposures")
LEDGER_IDENTITY = "ledger_identity"
# Cells (sessions x portfolios) held in memory at a time.
SLICE_CELLS = 1_000_000


@dataclass
class PortfolioPublication:
    """What a range came to; portfolios and snapshots are those of the published sessions, computed or fresh."""

    published: list[date] = field(default_factory=list)
    failed: list[date] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    portfolios: int = 0
    snapshots: int = 0
    changed: int = 0
    partial: int = 0
    generation: int | None = None


def publish_portfolio_products(
    database: Database, calendar: SessionCalendar, *, sessions: Sequence[date], run_id: str
) -> PortfolioPublication:
    """Bring snapshots and exposures of the sessions up to date, in order; the first wrong session ends the range.

    Raises ``NotReadyError`` when a session's symbol products or the snapshots before it are missing.
    """
    outcome = PortfolioPublication()
    for slice_sessions in _slices(database, sessions):
        with database.bulk() as transaction:
            lock_layer(transaction, "portfolio")
            # Closes and betas are read by two statements, which must see the same publication.
            lock_layer(transaction, "symbol", shared=True)
            # Under the lock: the run it waited for may have written the snapshots that these build on.
            inputs = _require_ready(database, slice_sessions)
            verdicts = _publish_slice(transaction, calendar, inputs, outcome, run_id=run_id)
        with database.begin() as connection:
            record_verdicts(connection, verdicts, layer="portfolio", run_id=run_id)
        outcome.verdicts += verdicts
        if outcome.failed:
            outcome.failed += [day for day in sessions if day > slice_sessions[-1]]
            break
    return outcome


def _slices(database: Database, sessions: Sequence[date]) -> Iterator[Sequence[date]]:
    with database.bulk(read_only=True) as transaction:
        count = int(transaction.read("SELECT count(*) AS portfolios FROM portfolios")["portfolios"][0].as_py())
    size = max(1, SLICE_CELLS // max(1, count))
    for first in range(0, len(sessions), size):
        yield sessions[first : first + size]


@dataclass(frozen=True)
class _Inputs:
    """Sessions of a slice with their symbol generations, and the generations that all snapshots have consumed."""

    generations: dict[date, int]
    consumed: dict[date, int]

    @property
    def sessions(self) -> list[date]:
        return list(self.generations)

    @property
    def previous(self) -> date | None:
        """The last session before the slice that has snapshots."""
        return max((day for day in self.consumed if day < self.sessions[0]), default=None)

    @property
    def only_books_changed(self) -> bool:
        """Whether the symbol figures are those that the stored snapshots were computed from."""
        return all(self.consumed.get(day) == generation for day, generation in self.generations.items())

    def has_snapshots_after(self, day: date) -> bool:
        """Whether later snapshots build on those of this day."""
        return any(later > day for later in self.consumed)


def _require_ready(database: Database, sessions: Sequence[date]) -> _Inputs:
    """The inputs of the sessions; the sessions before them must have their snapshots."""
    with database.begin() as connection:
        published = read_symbol_generations(connection)
        consumed = read_consumed(connection)
    missing = [str(day) for day in sessions if day not in published]
    if missing:
        raise NotReadyError(
            f"The symbol products of {', '.join(missing)} are not published: materialise them first (job symbol_layer)"
        )
    # Snapshots build on each other from the first one that exists.
    earlier = [day for day in published if day < sessions[0] and consumed and day >= min(consumed)]
    gaps = [str(day) for day in earlier if day not in consumed]
    if gaps:
        raise NotReadyError(
            f"Snapshots of {gaps[0]} come before those of {sessions[0]}: the gate runs {gaps[0]} to {gaps[-1]} first"
        )
    return _Inputs({day: published[day] for day in sessions}, consumed)


def _publish_slice(
    transaction: BulkTransaction,
    calendar: SessionCalendar,
    inputs: _Inputs,
    outcome: PortfolioPublication,
    *,
    run_id: str,
) -> list[Verdict]:
    sessions = inputs.sessions
    books = read_books(transaction, last=sessions[-1], previous=inputs.previous, only_stale=inputs.only_books_changed)
    books, settlements = settle_options(transaction, calendar, books, last=sessions[-1])
    state = read_ledger_state(transaction, books, inputs.previous)
    grid, positions = _grid(calendar, books, sessions)
    closes, betas = read_published_closes(transaction, grid), read_published_betas(transaction, grid)
    with naming_portfolios(books.portfolio_ids):
        rows = compute_portfolio_rows(
            books, state, grid, rows=positions, closes=closes, betas=betas, settlements=settlements
        )
    verdicts = _judge(rows, state)
    good = np.logical_and.accumulate([item.passed for item in verdicts])
    changed = find_changed_snapshots(transaction, rows) & good[:, None]
    if changed.any():
        outcome.generation = next_generation(transaction)
        replace_snapshots(transaction, rows, changed, generation=outcome.generation)
        ledger = _ledger_rows(rows, changed, sessions)
        record_publications(transaction, outcome.generation, "portfolio", ledger, run_id=run_id)
    kept = {day: inputs.generations[day] for day, passed in zip(sessions, good.tolist(), strict=True) if passed}
    record_consumed(transaction, kept, run_id=run_id)
    if kept:
        last = max(kept)
        after = calendar.offset(last, 1) if inputs.has_snapshots_after(last) else None
        _settle_books(transaction, books, changed[len(kept) - 1], previous=inputs.previous, last=last, after=after)
    outcome.changed += int(changed.sum())
    _count(transaction, outcome, kept, sessions)
    return verdicts


def _grid(calendar: SessionCalendar, books: Books, sessions: Sequence[date]) -> tuple[Grid, IntArray]:
    positions = np.array([calendar.index(day) for day in sessions])
    start = max(0, int(positions[0]) - CARRIED_SESSIONS)
    return Grid(calendar.sessions[start : int(positions[-1]) + 1], books.symbols), positions - start


def _judge(rows: PortfolioRows, state: LedgerState) -> list[Verdict]:
    books, verdicts = rows.books, []
    offenders = identity_violations(
        books.lots, books.portfolios, books.flows, state, rows.ledger, dividends=books.dividends
    )
    for day, wrong in zip(rows.sessions.tolist(), offenders, strict=True):
        ids = books.portfolio_ids[wrong[:NAMED_OFFENDERS]].tolist()
        detail = (
            f"broken for {len(wrong)} portfolios: {ids}" if len(wrong) else f"{len(books.portfolio_ids)} portfolios"
        )
        verdicts.append(Verdict(LEDGER_IDENTITY, day, not len(wrong), detail))
    return verdicts


def _ledger_rows(rows: PortfolioRows, changed: BoolArray, sessions: Sequence[date]) -> list[Publication]:
    exists = rows.ledger.snapshots.exists
    return [
        Publication(
            session=day,
            products=PRODUCTS,
            rows_written=int(changed[row].sum()),
            coverage=None,
            counts={"portfolios": int(exists[row].sum()), "changed": int(changed[row].sum())},
        )
        for row, day in enumerate(sessions)
        if changed[row].any()
    ]


def _settle_books(
    transaction: BulkTransaction,
    books: Books,
    changed_last: BoolArray,
    *,
    previous: date | None,
    last: date,
    after: date | None,
) -> None:
    """Mark the computed portfolios as current, or as stale from ``after`` on when later snapshots build on them.

    Settled are the edits dated after the ``previous`` snapshots and not after ``last``, on sessions or between them.
    An edit that came in meanwhile has another book version and keeps its mark.
    """
    computed = pa.table(
        {
            "portfolio_id": pa.array(books.portfolio_ids),
            "book_version": pa.array(books.book_versions),
            "changed": pa.array(changed_last),
        }
    )
    columns = {"portfolio_id": "bigint", "book_version": "bigint", "changed": "boolean"}
    with transaction.scratch_table("computed_books", columns, computed):
        transaction.execute(
            "UPDATE portfolios SET stale_from = $3::date FROM computed_books AS computed "
            "WHERE portfolios.portfolio_id = computed.portfolio_id "
            "AND ((portfolios.book_version = computed.book_version AND portfolios.stale_from <= $2::date "
            "AND ($1::date IS NULL OR portfolios.stale_from > $1::date)) "
            # Of two marks the earlier stays; no mark is later than any.
            "OR (computed.changed AND coalesce(portfolios.stale_from > $3::date, $3::date IS NOT NULL)))",
            (previous, last, after),
        )


def _count(
    transaction: BulkTransaction, outcome: PortfolioPublication, kept: dict[date, int], sessions: Sequence[date]
) -> None:
    """Count what the sessions hold now, also of the portfolios that did not have to be computed."""
    outcome.published += list(kept)
    outcome.failed += [day for day in sessions if day not in kept]
    row = transaction.read(
        "SELECT count(*) AS snapshots, count(DISTINCT portfolio_id) AS portfolios, "
        "count(*) FILTER (WHERE is_partial) AS partial FROM portfolio_snapshots WHERE session = ANY($1::date[])",
        ([str(day) for day in kept],),
    ).to_pylist()[0]
    outcome.snapshots += row["snapshots"]
    outcome.partial += row["partial"]
    outcome.portfolios = max(outcome.portfolios, row["portfolios"])
