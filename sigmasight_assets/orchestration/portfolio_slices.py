"""One slice of a range of snapshots: a transaction that computes its portfolios in chunks and writes what differs.

Portfolios do not depend on each other, so memory is bounded by the chunk however many there are. All chunks are seen
at once or not at all: a single wrong portfolio ends the slice with nothing written.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa

from sigmasight_assets.orchestration.option_expiry import settle_options
from sigmasight_assets.orchestration.part_times import PartTimes
from sigmasight_assets.orchestration.portfolio_figures import PublishedFigures
from sigmasight_assets.orchestration.portfolio_inputs import Inputs, read_inputs
from sigmasight_assets.orchestration.portfolio_rows import compute_portfolio_rows
from sigmasight_assets.orchestration.portfolio_selection import mark_later, select_portfolios
from sigmasight_assets.quant.arrays import BoolArray, IntArray
from sigmasight_assets.quant.ledger_identity import identity_violations
from sigmasight_assets.quant.lots import LedgerState
from sigmasight_assets.quant.money import MONEY_DIGITS, from_units
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.books import Books, KeyRange, read_books, read_ledger_state
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.holders import read_due
from sigmasight_assets.storage.left_out import leave_out, read_left_out_in_bulk, take_back, try_again
from sigmasight_assets.storage.lot_terms import NAMED_OFFENDERS, TOO_LARGE, naming_portfolios
from sigmasight_assets.storage.operations import Offender, Verdict
from sigmasight_assets.storage.publications import Publication, lock_layer, next_generation, record_publications
from sigmasight_assets.storage.snapshot_parts import Slice, SlicesDone, SnapshotPart, close_parts, read_members
from sigmasight_assets.storage.snapshots import (
    PortfolioRows,
    SnapshotChange,
    find_changed_snapshots,
    record_consumed,
    replace_snapshots,
)

NONE: Mapping[int, int] = {}
PRODUCTS = ("portfolio_snapshots", "portfolio_factor_exposures")
LEDGER_IDENTITY = "ledger_identity"
AMOUNTS_FIT = "amounts_fit"
# Snapshots (sessions x portfolios) held in memory at a time: about 1 GB with fifteen lots each.
CHUNK_CELLS = 50_000


class BrokenIdentityError(Exception):
    """The ledger of some portfolio does not add up at some session, so nothing of the slice may be written.

    ``verdicts`` are those of all its sessions, and ``first_wrong`` the position of the first that did not pass.
    """

    def __init__(self, verdicts: list[Verdict]) -> None:
        super().__init__("the identity of the ledger is broken")
        self.verdicts = verdicts
        self.first_wrong = next(place for place, item in enumerate(verdicts) if not item.passed)


@dataclass(frozen=True)
class PortfolioRun:
    """What every transaction of one publication shares, and how long its parts took.

    With ``force`` every portfolio is computed and written, whether or not anything has changed. So many ``workers``
    are thought to be at work on it: runs that take slices of it.
    """

    database: Database
    calendar: SessionCalendar
    run_id: str
    times: PartTimes = field(default_factory=PartTimes)
    force: bool = False
    workers: int = 1

    def forcing(self, force: bool) -> "PortfolioRun":
        """The same, with or without force."""
        return replace(self, force=force)

    def transaction(self, *, shared: bool = False) -> AbstractContextManager[BulkTransaction]:
        """A transaction that may write snapshots, alone or, when ``shared``, beside others that write slices."""
        return self.times.transaction(self.database, partial(_lock, shared=shared))

    def read_inputs(self, sessions: Sequence[date]) -> Inputs:
        """What snapshots of the sessions are made from; ``NotReadyError`` when symbol products of one are missing."""
        with self.database.begin() as connection:
            inputs = read_inputs(connection, sessions)
        return inputs.in_doubt if self.force else inputs


def _lock(transaction: BulkTransaction, *, shared: bool) -> None:
    # Whoever publishes snapshots, or edits what they rest on, waits for all that are at work on slices.
    lock_layer(transaction, "portfolio", shared=shared)
    # Figures, actions and generations are read by several statements, which must see the same publication.
    lock_layer(transaction, "symbol", shared=True)


@dataclass
class PublishedSlice:
    """A slice of T sessions as its chunks add up: portfolios computed, and by session (T,) snapshots and changes.

    ``offenders`` are the portfolios, by session, whose ledger does not add up, and ``named`` the first of them with
    their figures. ``left_out`` are those without snapshots, with the first session that is missing, and ``removed``
    counts by session the snapshots that they had. ``abandoned`` are sessions of which a run that ended without
    publishing has written slices. ``generation`` is None when nothing differed.
    """

    sessions: list[date]
    exists: IntArray
    changed: IntArray
    offenders: list[list[int]]
    named: list[list[Offender]]
    portfolio_ids: IntArray
    generation: int | None = None
    left_out: Mapping[int, date] = field(default_factory=dict)
    removed: Mapping[date, int] = field(default_factory=dict)
    abandoned: Sequence[date] = ()

    @classmethod
    def empty(cls, sessions: Sequence[date]) -> "PublishedSlice":
        """Before the first chunk."""
        none = np.zeros(len(sessions), dtype=np.int64)
        return cls(list(sessions), none, none.copy(), [[] for _ in sessions], [[] for _ in sessions], none[:0])

    def add_helped(self, helped: SlicesDone, portfolio_ids: IntArray) -> None:
        """Count what slices have computed of the sessions, and the portfolios (P,) that are due of all slices."""
        self.exists = self.exists + helped.exists
        self.changed = self.changed + helped.changed
        self.portfolio_ids = portfolio_ids

    @property
    def is_broken(self) -> bool:
        """Whether a ledger of any chunk does not add up."""
        return any(self.offenders)

    @property
    def verdicts(self) -> list[Verdict]:
        """One verdict a session."""
        total = f"{len(self.portfolio_ids)} portfolios"
        return [
            Verdict(
                LEDGER_IDENTITY,
                day,
                not wrong,
                f"broken for {len(wrong)} portfolios: {wrong[:NAMED_OFFENDERS]}" if wrong else total,
                offenders=tuple(named[:NAMED_OFFENDERS]),
                offender_count=len(wrong),
            )
            for day, wrong, named in zip(self.sessions, self.offenders, self.named, strict=True)
        ]

    @property
    def warnings(self) -> list[Verdict]:
        """One verdict a session on the portfolios that are left out of it; it keeps nobody else's from publication."""
        return [
            _amounts_fit(day, [key for key, first in self.left_out.items() if first <= day]) for day in self.sessions
        ]

    @property
    def ledger(self) -> list[Publication]:
        """The publications of the sessions in which something differed, those of removed snapshots among them."""
        removed = [
            Publication(session=day, products=PRODUCTS, rows_written=0, coverage=None, counts={"removed": count})
            for day, count in self.removed.items()
            if day not in self.sessions
        ]
        left = [
            Publication(session=day, products=PRODUCTS, rows_written=0, coverage=None, counts={"abandoned": 1})
            for day in self.abandoned
            if day not in self.sessions and day not in self.removed
        ]
        return (
            removed
            + left
            + [
                Publication(
                    session=day,
                    products=PRODUCTS,
                    rows_written=changed,
                    coverage=None,
                    counts={"portfolios": exists, "changed": changed},
                )
                for day, exists, changed in zip(self.sessions, self.exists.tolist(), self.changed.tolist(), strict=True)
                if changed or day in self.removed or day in self.abandoned
            ]
        )


def _amounts_fit(session: date, left_out: Sequence[int]) -> Verdict:
    detail = f"left out, because their amounts are {TOO_LARGE}: portfolios {list(left_out[:NAMED_OFFENDERS])}"
    return Verdict(
        AMOUNTS_FIT,
        session,
        not left_out,
        detail if left_out else "no portfolio is left out",
        is_blocking=False,
        offenders=tuple(
            Offender(f"portfolio {key}", f"its amounts are {TOO_LARGE}", "") for key in left_out[:NAMED_OFFENDERS]
        ),
        offender_count=len(left_out),
    )


def publish_slice(
    transaction: BulkTransaction,
    run: PortfolioRun,
    inputs: Inputs,
    *,
    oversized: Mapping[int, int] = NONE,
    shared: SnapshotPart | None = None,
    helped: SlicesDone | None = None,
) -> PublishedSlice:
    """Compute, judge and write the snapshots of the sessions that differ.

    Portfolios that are ``oversized``, with the versions of their books, are left out from the first session on at the
    latest. Others that were left out before the sessions are tried again by the next run when a symbol of theirs has
    changed at one of them. What slices of the ``shared`` part have ``helped`` with is computed again only if edited.

    Raises ``BrokenIdentityError`` with the verdicts over all portfolios, and ``OversizedBooksError`` for others that
    are; the transaction has to be given up then.
    """
    sessions, last = inputs.sessions, inputs.sessions[-1]
    done = PublishedSlice.empty(sessions)
    with run.times.part("reading"):
        selection = select_portfolios(transaction, run.calendar, inputs)
        if inputs.previous is not None and inputs.consumed.keys() >= inputs.generations.keys():
            try_again(transaction, selection.portfolio_ids, until=inputs.previous, without=oversized)
        only = selection.portfolio_ids
        if helped is not None and helped.numbers:
            done.add_helped(helped, read_due(transaction, last=last, only=only))
            only = _in_slices(transaction, helped.left, helped.count, only)
    compute_portfolios(transaction, run, inputs, done, only=only, oversized=oversized)
    _leave_out(transaction, done, oversized)
    done.abandoned = close_parts(transaction, own=shared)
    if done.generation is None and (done.changed.any() or done.abandoned):
        done.generation = next_generation(transaction)
    if done.generation is not None:
        record_publications(transaction, done.generation, "portfolio", done.ledger, run_id=run.run_id)
    record_consumed(transaction, dict(inputs.generations), run_id=run.run_id)
    mark_later(transaction, selection, inputs, last=last)
    return done


def _in_slices(transaction: BulkTransaction, numbers: Sequence[int], count: int, only: IntArray | None) -> IntArray:
    """The portfolios of these slices, all or ``only`` those."""
    members = read_members(transaction, numbers, count)
    return members if only is None else np.intersect1d(members, only)


def compute_selected(
    transaction: BulkTransaction, run: PortfolioRun, inputs: Inputs, done: PublishedSlice, *, within: Slice
) -> None:
    """Compute, judge and write what the sessions have to compute ``within`` a slice, and publish nothing.

    Raises as ``publish_slice`` does.
    """
    with run.times.part("reading"):
        selection = select_portfolios(transaction, run.calendar, inputs)
    compute_portfolios(transaction, run, inputs, done, only=selection.portfolio_ids, within=within)


def compute_portfolios(
    transaction: BulkTransaction,
    run: PortfolioRun,
    inputs: Inputs,
    done: PublishedSlice,
    *,
    only: IntArray | None,
    oversized: Mapping[int, int] = NONE,
    within: Slice | None = None,
) -> None:
    """Compute, judge and write portfolios, those in ``only`` (all with None) and edited ones, and add them to ``done``.

    Raises as ``publish_slice`` does.
    """
    sessions, last = inputs.sessions, inputs.sessions[-1]
    with run.times.part("reading"):
        chunks = _chunks(read_due(transaction, last=last, only=only, within=within), len(sessions))
        figures = PublishedFigures(transaction, run.calendar, sessions, is_read_once=len(chunks) > 1)
    after = run.calendar.offset(last, 1) if inputs.newest_after(last) else None
    for keys in chunks:
        with run.times.part("reading"):
            books = read_books(
                transaction,
                last=last,
                previous=inputs.previous,
                only=only,
                keys=keys,
                without=oversized,
                within=within,
            )
            books, settlements = settle_options(transaction, run.calendar, books, last=last)
            state = read_ledger_state(transaction, books, inputs.previous)
            grid, closes, betas = figures.of(books.symbols)
        with run.times.part("computing"), naming_portfolios(books.portfolio_ids, books=books.versions):
            rows = compute_portfolio_rows(
                books, state, grid, rows=figures.rows, closes=closes, betas=betas, settlements=settlements
            )
        with run.times.part("checking"):
            _judge(rows, state, done)
            change = find_changed_snapshots(transaction, rows, force=run.force)
        if done.is_broken:
            continue
        with run.times.part("writing"):
            _write(transaction, done, rows, change)
            _settle_books(transaction, books, change.differs[-1], previous=inputs.previous, last=last, after=after)
    if done.is_broken:
        raise BrokenIdentityError(done.verdicts)


def _leave_out(transaction: BulkTransaction, done: PublishedSlice, oversized: Mapping[int, int]) -> None:
    """Remove the snapshots of portfolios that are left out from now on, and note all that are."""
    if oversized:
        done.removed = leave_out(transaction, oversized, first=done.sessions[0])
        if done.removed and done.generation is None:
            done.generation = next_generation(transaction)
    done.left_out = read_left_out_in_bulk(transaction, last=done.sessions[-1])


def _chunks(due: IntArray, sessions: int) -> list[KeyRange]:
    """Ranges of portfolio keys that hold all that are due, each so many of them that its rows fit the memory."""
    size = max(1, CHUNK_CELLS // sessions)
    parts = [due[first : first + size] for first in range(0, len(due), size)]
    return [(int(part[0]), int(part[-1])) for part in parts]


def _judge(rows: PortfolioRows, state: LedgerState, done: PublishedSlice) -> None:
    """Add a chunk's portfolios and offenders."""
    books = rows.books
    offenders = identity_violations(
        books.lots, books.portfolios, books.flows, state, rows.ledger, dividends=books.dividends
    )
    for row, wrong in enumerate(offenders):
        done.offenders[row].extend(books.portfolio_ids[wrong].tolist())
        done.named[row].extend(_broken(rows, row, each) for each in wrong[:NAMED_OFFENDERS].tolist())
    done.portfolio_ids = np.union1d(done.portfolio_ids, books.portfolio_ids)
    done.exists += rows.ledger.snapshots.exists.sum(axis=1)


def _broken(rows: PortfolioRows, row: int, portfolio: int) -> Offender:
    """A portfolio whose ledger does not add up, with what has to add up."""
    snapshots = rows.ledger.snapshots.at(row)
    names = ("equity", "cash", "net", "unpriced_value", "daily_pnl", "capital_flow")
    figures = (f"{name} {from_units(int(getattr(snapshots, name)[portfolio]), MONEY_DIGITS):f}" for name in names)
    return Offender(
        f"portfolio {rows.books.portfolio_ids[portfolio]}",
        "an identity of its ledger does not hold to the last unit",
        f"USD: {', '.join(figures)}",
    )


def _write(transaction: BulkTransaction, done: PublishedSlice, rows: PortfolioRows, change: SnapshotChange) -> None:
    """Replace a chunk's changed snapshots; the first one that differs takes the slice's generation."""
    if not change.write.any():
        return
    if done.generation is None:
        done.generation = next_generation(transaction)
    replace_snapshots(transaction, rows, change, generation=done.generation)
    done.changed += change.write.sum(axis=1)


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
        take_back(transaction, "computed_books", last=last)
