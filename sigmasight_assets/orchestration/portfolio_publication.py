"""Compute, check and publish the portfolio products of a range, slice by slice; no Dagster here.

Both products are one publication: their rows of a portfolio and session share a fingerprint, and are replaced
together when it differs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa

from sigmasight_assets.orchestration.option_expiry import settle_options
from sigmasight_assets.orchestration.portfolio_inputs import Inputs, parts, read_inputs, without_waived
from sigmasight_assets.orchestration.portfolio_rows import compute_portfolio_rows
from sigmasight_assets.orchestration.portfolio_selection import mark_later, select_portfolios
from sigmasight_assets.quant.arrays import BoolArray, IntArray
from sigmasight_assets.quant.carried_prices import CARRIED_SESSIONS
from sigmasight_assets.quant.ledger_identity import identity_violations
from sigmasight_assets.quant.lots import LedgerState
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.books import Books, read_books, read_ledger_state
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.calendar import require_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.holders import count_due
from sigmasight_assets.storage.lot_terms import NAMED_OFFENDERS, naming_portfolios
from sigmasight_assets.storage.operations import Verdict, record_verdicts
from sigmasight_assets.storage.publications import (
    Publication,
    lock_layer,
    next_generation,
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
    """What a range came to; portfolios and snapshots are those of the published sessions, computed or fresh.

    ``computed_ids`` (P,) are the portfolios that were computed, ascending; ``changed`` counts the snapshots that are
    new or different. ``waived`` are sessions without symbol products that later ones span, by an operator's decision.
    """

    published: list[date] = field(default_factory=list)
    failed: list[date] = field(default_factory=list)
    waived: list[date] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    portfolios: int = 0
    snapshots: int = 0
    computed_ids: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    changed: int = 0
    partial: int = 0
    generation: int | None = None

    @property
    def computed(self) -> int:
        """How many portfolios were computed, each counted once."""
        return len(self.computed_ids)


def publish_portfolio_products(
    database: Database, calendar: SessionCalendar, *, sessions: Sequence[date], run_id: str
) -> PortfolioPublication:
    """Bring snapshots and exposures of the sessions up to date, in order; the first wrong session ends the range.

    Of sessions that have snapshots only those portfolios are computed that are edited or hold a symbol that changed.
    Raises ``NotReadyError`` when a session's symbol products or the snapshots before it are missing; sessions without
    symbol products that are waived are left out.
    """
    outcome = PortfolioPublication()
    with database.begin() as connection:
        sessions, outcome.waived = without_waived(connection, sessions)
    for slice_sessions in _slices(database, calendar, sessions):
        with database.bulk() as transaction:
            lock_layer(transaction, "portfolio")
            # Closes and betas are read by two statements, which must see the same publication.
            lock_layer(transaction, "symbol", shared=True)
            require_calendar(transaction, calendar)
            # Under the lock: the run it waited for may have written the snapshots that these build on.
            with database.begin() as connection:
                inputs = read_inputs(connection, slice_sessions)
            inputs.require_earlier()
            verdicts = _publish_slice(transaction, calendar, inputs, outcome, run_id=run_id)
        with database.begin() as connection:
            record_verdicts(connection, verdicts, layer="portfolio", run_id=run_id)
        outcome.verdicts += verdicts
        if outcome.failed:
            outcome.failed += [day for day in sessions if day > slice_sessions[-1]]
            break
    return outcome


def _slices(database: Database, calendar: SessionCalendar, sessions: Sequence[date]) -> Iterator[list[date]]:
    """Cut sessions so that each slice, with the portfolios it computes, fits the memory."""
    with database.begin() as connection:
        consumed = read_consumed(connection)
    for part in parts(sessions, consumed):
        left = part
        while left:
            size = max(1, SLICE_CELLS // max(1, _count_due(database, calendar, left)))
            yield left[:size]
            left = left[size:]


def _count_due(database: Database, calendar: SessionCalendar, sessions: Sequence[date]) -> int:
    """How many portfolios the sessions would compute as things are now."""
    with database.begin() as connection:
        inputs = read_inputs(connection, sessions)
    with database.bulk() as transaction:
        selection = select_portfolios(transaction, calendar, inputs)
        return count_due(transaction, last=sessions[-1], only=selection.portfolio_ids)


def _publish_slice(
    transaction: BulkTransaction,
    calendar: SessionCalendar,
    inputs: Inputs,
    outcome: PortfolioPublication,
    *,
    run_id: str,
) -> list[Verdict]:
    sessions = inputs.sessions
    selection = select_portfolios(transaction, calendar, inputs)
    books = read_books(transaction, last=sessions[-1], previous=inputs.previous, only=selection.portfolio_ids)
    rows, verdicts = _compute(transaction, calendar, inputs, books)
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
        after = calendar.offset(last, 1) if inputs.newest_after(last) else None
        _settle_books(transaction, books, changed[len(kept) - 1], previous=inputs.previous, last=last, after=after)
        mark_later(transaction, selection, inputs, last=last)
    outcome.computed_ids = np.union1d(outcome.computed_ids, books.portfolio_ids)
    outcome.changed += int(changed.sum())
    _count(transaction, outcome, kept, sessions)
    return verdicts


def _compute(
    transaction: BulkTransaction, calendar: SessionCalendar, inputs: Inputs, books: Books
) -> tuple[PortfolioRows, list[Verdict]]:
    sessions = inputs.sessions
    books, settlements = settle_options(transaction, calendar, books, last=sessions[-1])
    state = read_ledger_state(transaction, books, inputs.previous)
    grid, positions = _grid(calendar, books, sessions)
    closes, betas = read_published_closes(transaction, grid), read_published_betas(transaction, grid)
    with naming_portfolios(books.portfolio_ids):
        rows = compute_portfolio_rows(
            books, state, grid, rows=positions, closes=closes, betas=betas, settlements=settlements
        )
    return rows, _judge(rows, state)


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
