"""Bring the portfolio products of a range up to date, slice by slice; no Dagster here.

Both products are one publication: their rows of a portfolio and session share a fingerprint, and are replaced
together when it differs. What happens in the transaction of a slice is in ``portfolio_slices``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from sigmasight_assets.orchestration.part_times import PartTimes
from sigmasight_assets.orchestration.portfolio_inputs import parts, without_waived
from sigmasight_assets.orchestration.portfolio_selection import select_portfolios
from sigmasight_assets.orchestration.portfolio_slices import (
    BrokenIdentityError,
    PortfolioRun,
    PublishedSlice,
    publish_slice,
)
from sigmasight_assets.orchestration.portfolio_split import SPLIT_CELLS, IsOver, help_out, read_helped, share_part
from sigmasight_assets.quant.arrays import IntArray
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.calendar import require_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.holders import read_due
from sigmasight_assets.storage.lot_terms import OversizedBooksError
from sigmasight_assets.storage.operations import Verdict, record_verdicts
from sigmasight_assets.storage.snapshot_parts import SnapshotPart, undo_slices
from sigmasight_assets.storage.snapshots import count_published, read_consumed, remove_snapshots

# Snapshots (sessions x portfolios) that a run computes in one transaction: others wait no longer than for one.
SLICE_CELLS = 1_000_000


@dataclass
class PortfolioPublication:
    """What a range came to; portfolios and snapshots are those of the published sessions, computed or fresh.

    ``computed_ids`` (P,) are the portfolios that were computed, ascending; ``changed`` counts the snapshots that are
    new or different, ``left_out`` has the portfolios whose amounts are too large, with the first session that they have
    no snapshot of. ``waived`` are sessions without symbol products that later ones span, by an operator's decision.
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
    left_out: dict[int, date] = field(default_factory=dict)
    times: PartTimes = field(default_factory=PartTimes)

    @property
    def computed(self) -> int:
        """How many portfolios were computed, each counted once."""
        return len(self.computed_ids)

    def add(self, transaction: BulkTransaction, done: PublishedSlice) -> None:
        """Count a slice that was published, and all that its sessions hold now, computed or fresh."""
        self.published += done.sessions
        self.verdicts += [*done.verdicts, *done.warnings]
        self.left_out |= done.left_out
        self.generation = done.generation or self.generation
        self.computed_ids = np.union1d(self.computed_ids, done.portfolio_ids)
        self.changed += int(done.changed.sum())
        stored = count_published(transaction, done.sessions)
        self.snapshots += stored.snapshots
        self.partial += stored.partial
        self.portfolios = max(self.portfolios, stored.portfolios)


def publish_portfolio_products(
    database: Database,
    calendar: SessionCalendar,
    *,
    sessions: Sequence[date],
    run_id: str,
    force: bool = False,
    workers: int = 1,
) -> PortfolioPublication:
    """Bring snapshots and exposures of the sessions up to date, in order; the first wrong session ends the range.

    Of sessions that have snapshots only those portfolios are computed that are edited or hold a symbol that changed;
    with ``force`` all are, and written whether or not they differ.
    A portfolio whose amounts become too large to be exact is left out from that session on, and named.
    With more than one of the ``workers`` others may take slices of what is to be computed (``help_with_snapshots``).
    Raises ``NotReadyError`` when a session's symbol products or the snapshots before it are missing; sessions without
    symbol products that are waived are left out.
    """
    outcome = PortfolioPublication()
    run = PortfolioRun(database, calendar, run_id, outcome.times, force, workers)
    with database.begin() as connection:
        sessions, outcome.waived = without_waived(connection, sessions)
    for slice_sessions, due in _slices(run, sessions):
        is_shared = workers > 1 and due * len(slice_sessions) >= SPLIT_CELLS
        shared = share_part(run, slice_sessions) if is_shared else None
        failed = _publish(run, slice_sessions, outcome, shared, alone=_fitting(due))
        if failed:
            outcome.failed = [*failed, *(day for day in sessions if day > slice_sessions[-1])]
            break
    return outcome


@dataclass(frozen=True)
class _Part:
    """Sessions to be published, without the ``oversized`` books (and their versions) that are too large by the first.

    That was found for the symbol ``generations`` of the sessions.
    """

    sessions: Sequence[date]
    oversized: Mapping[int, int] = field(default_factory=dict)
    generations: Mapping[date, int] = field(default_factory=dict)

    def at(self, generations: Mapping[date, int]) -> "_Part":
        """The same at the symbol generations of now; who was found too large at others may not be so any more."""
        is_known = all(self.generations.get(day) == generation for day, generation in generations.items())
        return _Part(self.sessions, self.oversized if is_known else {}, generations)

    def cut(self, size: int) -> list["_Part"]:
        """The same in parts of at most so many sessions."""
        places = range(0, len(self.sessions), size)
        return [replace(self, sessions=self.sessions[place : place + size]) for place in places]

    def without(self, found: OversizedBooksError) -> list["_Part"]:
        """What is to be published instead: everybody up to the session at which some are too large, then the others.

        Where it is not known which session that is, the halves tell.
        """
        place = found.row
        if place is None and len(self.sessions) > 1:
            middle = len(self.sessions) // 2
            return [replace(self, sessions=each) for each in (self.sessions[:middle], self.sessions[middle:])]
        rest = replace(self, sessions=self.sessions[place:], oversized={**self.oversized, **found.versions})
        return [replace(self, sessions=self.sessions[:place]), rest] if place else [rest]


def help_with_snapshots(database: Database, calendar: SessionCalendar, *, run_id: str, is_over: IsOver) -> int:
    """Take slices of the snapshots that other runs announce, until ``is_over``; returns how many were computed.

    It is asked whenever there is no slice to take, with the seconds for which there was none.
    """
    return help_out(PortfolioRun(database, calendar, run_id), is_over)


def _publish(
    run: PortfolioRun, sessions: Sequence[date], outcome: PortfolioPublication, shared: SnapshotPart | None, alone: int
) -> list[date]:
    """Publish a slice up to its first wrong session; returns that one and those after it.

    At most so many sessions at a time as one run computes ``alone``, unless others have helped.
    """
    failed: list[date] = []
    refused: list[Verdict] = []
    pending = [_Part(sessions)]
    while pending:
        part = pending.pop(0)
        try:
            pending = _publish_part(run, part, outcome, shared, alone) + pending
        except BrokenIdentityError as broken:
            # Nothing of the part is written: of a wrong session no portfolio's snapshots are published.
            sound = part.sessions[: broken.first_wrong]
            if shared is not None:
                _withdraw(run, part.sessions[len(sound) :], shared)
            failed = [*part.sessions[len(sound) :], *(day for each in pending for day in each.sessions), *failed]
            refused = [*broken.verdicts[len(sound) :], *refused]
            pending = [replace(part, sessions=sound)] if sound else []
    outcome.verdicts += refused
    _record(run, refused)
    return failed


def _publish_part(
    run: PortfolioRun, part: _Part, outcome: PortfolioPublication, shared: SnapshotPart | None, alone: int
) -> list[_Part]:
    """Publish a part, or nothing where it is too long or further books are too large.

    Returns what is to be published instead.
    """
    try:
        with run.transaction() as transaction:
            require_calendar(transaction, run.calendar)
            # Under the lock: the run it waited for may have written the snapshots that these build on.
            inputs = run.read_inputs(part.sessions)
            inputs.require_earlier()
            part = part.at(inputs.generations)
            helped = None if shared is None else read_helped(run, shared, inputs)
            if helped is None and len(part.sessions) > alone:
                return part.cut(alone)
            # What slices have written that do not count is told of like that of a run which has died.
            own = None if helped is None else shared
            done = publish_slice(transaction, run, inputs, oversized=part.oversized, shared=own, helped=helped)
            outcome.add(transaction, done)
    except OversizedBooksError as found:
        return part.without(found)
    _record(run, [*done.verdicts, *done.warnings])
    return []


def _withdraw(run: PortfolioRun, sessions: Sequence[date], shared: SnapshotPart) -> None:
    """Take back what slices have written of sessions that are not published; of others each portfolio's stays."""
    with run.transaction() as transaction:
        with run.database.begin() as connection:
            consumed = read_consumed(connection)
        removed = [day for day in sessions if day not in consumed]
        remove_snapshots(transaction, removed)
        undo_slices(transaction, removed, own=shared)


def _record(run: PortfolioRun, verdicts: Sequence[Verdict]) -> None:
    with run.database.begin() as connection:
        record_verdicts(connection, verdicts, layer="portfolio", run_id=run.run_id)


def _slices(run: PortfolioRun, sessions: Sequence[date]) -> Iterator[tuple[list[date], int]]:
    """Cut sessions so that the transaction of each slice stays short; with how many portfolios each computes."""
    with run.database.begin() as connection:
        consumed = read_consumed(connection)
    for part in parts(sessions, consumed):
        left = part
        while left:
            due = _count_due(run, left)
            size = _fitting(due, workers=run.workers)
            yield left[:size], due
            left = left[size:]


def _fitting(due: int, *, workers: int = 1) -> int:
    """How many sessions of so many portfolios are computed at a time."""
    return max(1, SLICE_CELLS * workers // max(1, due))


def _count_due(run: PortfolioRun, sessions: Sequence[date]) -> int:
    """How many portfolios the sessions would compute as things are now."""
    inputs = run.read_inputs(sessions)
    with run.database.bulk() as transaction:
        selection = select_portfolios(transaction, run.calendar, inputs)
        return len(read_due(transaction, last=sessions[-1], only=selection.portfolio_ids))
