"""Bring the portfolio products of a range up to date, slice by slice; no Dagster here.

Both products are one publication: their rows of a portfolio and session share a fingerprint, and are replaced
together when it differs. What happens in the transaction of a slice is in ``portfolio_slices``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from sigmasight_assets.orchestration.part_times import PartTimes
from sigmasight_assets.orchestration.portfolio_inputs import Inputs, parts, read_inputs, without_waived
from sigmasight_assets.orchestration.portfolio_selection import select_portfolios
from sigmasight_assets.orchestration.portfolio_slices import (
    BrokenIdentityError,
    PortfolioRun,
    PublishedSlice,
    publish_slice,
)
from sigmasight_assets.quant.arrays import IntArray
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.calendar import require_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.holders import read_due
from sigmasight_assets.storage.operations import Verdict, record_verdicts
from sigmasight_assets.storage.snapshots import count_published, read_consumed

# Snapshots (sessions x portfolios) in one transaction: others wait no longer than for one.
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
    times: PartTimes = field(default_factory=PartTimes)

    @property
    def computed(self) -> int:
        """How many portfolios were computed, each counted once."""
        return len(self.computed_ids)

    def add(self, transaction: BulkTransaction, done: PublishedSlice) -> None:
        """Count a slice that was published, and all that its sessions hold now, computed or fresh."""
        self.published += done.sessions
        self.verdicts += done.verdicts
        self.generation = done.generation or self.generation
        self.computed_ids = np.union1d(self.computed_ids, done.portfolio_ids)
        self.changed += int(done.changed.sum())
        stored = count_published(transaction, done.sessions)
        self.snapshots += stored.snapshots
        self.partial += stored.partial
        self.portfolios = max(self.portfolios, stored.portfolios)


def publish_portfolio_products(
    database: Database, calendar: SessionCalendar, *, sessions: Sequence[date], run_id: str, force: bool = False
) -> PortfolioPublication:
    """Bring snapshots and exposures of the sessions up to date, in order; the first wrong session ends the range.

    Of sessions that have snapshots only those portfolios are computed that are edited or hold a symbol that changed;
    with ``force`` all are, and written whether or not they differ.
    Raises ``NotReadyError`` when a session's symbol products or the snapshots before it are missing; sessions without
    symbol products that are waived are left out.
    """
    outcome = PortfolioPublication()
    run = PortfolioRun(database, calendar, run_id, outcome.times, force)
    with database.begin() as connection:
        sessions, outcome.waived = without_waived(connection, sessions)
    for slice_sessions in _slices(run, sessions):
        failed = _publish(run, slice_sessions, outcome)
        if failed:
            outcome.failed = [*failed, *(day for day in sessions if day > slice_sessions[-1])]
            break
    return outcome


def _publish(run: PortfolioRun, sessions: Sequence[date], outcome: PortfolioPublication) -> list[date]:
    """Publish a slice up to its first wrong session; returns that one and those after it."""
    try:
        with run.transaction() as transaction:
            require_calendar(transaction, run.calendar)
            # Under the lock: the run it waited for may have written the snapshots that these build on.
            inputs = _read_inputs(run, sessions)
            inputs.require_earlier()
            done = publish_slice(transaction, run, inputs)
            outcome.add(transaction, done)
    except BrokenIdentityError as broken:
        # Nothing of the slice is written: of a wrong session no portfolio's snapshots are published.
        sound = list(sessions[: broken.first_wrong])
        if sound:
            _publish(run, sound, outcome)
        outcome.verdicts += broken.verdicts[len(sound) :]
        _record(run, broken.verdicts[len(sound) :])
        return list(sessions[len(sound) :])
    _record(run, done.verdicts)
    return []


def _read_inputs(run: PortfolioRun, sessions: Sequence[date]) -> Inputs:
    with run.database.begin() as connection:
        inputs = read_inputs(connection, sessions)
    return inputs.in_doubt if run.force else inputs


def _record(run: PortfolioRun, verdicts: Sequence[Verdict]) -> None:
    with run.database.begin() as connection:
        record_verdicts(connection, verdicts, layer="portfolio", run_id=run.run_id)


def _slices(run: PortfolioRun, sessions: Sequence[date]) -> Iterator[list[date]]:
    """Cut sessions so that the transaction of each slice stays short."""
    with run.database.begin() as connection:
        consumed = read_consumed(connection)
    for part in parts(sessions, consumed):
        left = part
        while left:
            size = max(1, SLICE_CELLS // max(1, _count_due(run, left)))
            yield left[:size]
            left = left[size:]


def _count_due(run: PortfolioRun, sessions: Sequence[date]) -> int:
    """How many portfolios the sessions would compute as things are now."""
    inputs = _read_inputs(run, sessions)
    with run.database.bulk() as transaction:
        selection = select_portfolios(transaction, run.calendar, inputs)
        return len(read_due(transaction, last=sessions[-1], only=selection.portfolio_ids))
