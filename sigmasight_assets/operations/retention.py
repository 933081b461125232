"""Old figures: what they take, their archive, and dropping whole years of them, which an operator decides.

Prices stay, and so do snapshots. Sessions whose figures are dropped count as never published, as those before the very
first publication: nobody waits for them, and `sigmasight backfill` computes them again from the prices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import sqlalchemy as sa

from sigmasight_assets.errors import DecisionError
from sigmasight_assets.operations.gate_causes import SIGN_OF_LIFE
from sigmasight_assets.operations.symbol_state import read_now
from sigmasight_assets.quant.carried_prices import CARRIED_SESSIONS
from sigmasight_assets.storage.archives import ArchivedYear, FilesDone, find_gaps, ignore_progress, write_archive
from sigmasight_assets.storage.book_tables import portfolios
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.closures import lock_layers
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import record_action
from sigmasight_assets.storage.ledger_tables import publications
from sigmasight_assets.storage.recorded_runs import read_recorded_runs
from sigmasight_assets.storage.retention import (
    FIGURE_TABLES,
    Partition,
    drop_years,
    is_partitioned_year,
    read_figure_years,
    read_partitions,
)
from sigmasight_assets.storage.tables import figure_invalidations


@dataclass(frozen=True, slots=True)
class DroppedYears:
    """What was dropped; ``bytes`` are those of the partitions, with their indexes."""

    years: tuple[int, ...]
    bytes: int
    action_id: int


def list_partitions(database: Database) -> list[Partition]:
    """The partitions of every table; one that was never filled has a size of its empty indexes."""
    with database.begin() as connection:
        return read_partitions(connection)


def archive_years(
    database: Database, *, before: int, directory: Path, progress: FilesDone = ignore_progress
) -> list[ArchivedYear]:
    """Write the figures of all years before one into a directory, as of one moment.

    ``progress`` is told of each file. Raises ``DecisionError`` when there is none, ``StorageError`` when the directory
    cannot be written.
    """
    with database.begin() as connection:
        years = _years(connection, before)
    with database.bulk(read_only=True) as transaction:
        return write_archive(transaction, years, directory, progress=progress)


def drop_figures(
    database: Database,
    *,
    before: int,
    archive: Path | None,
    actor: str,
    reason: str,
    progress: FilesDone = ignore_progress,
) -> DroppedYears:
    """Drop the figures of all years before one, in one transaction with its audit.

    ``archive`` is the directory that holds them, None to drop them without one; ``progress`` is told of each file of
    it. Raises ``DecisionError`` when there is
    none, when something needs them or a run is under way, when nothing published would be left, or when the archive
    does not hold what is stored; ``StorageError`` when it is no archive.
    """
    with database.begin() as connection:
        lock_layers(connection)
        years = _years(connection, before)
        _require_no_run(connection)
        _require_unneeded(connection, before)
        if archive is not None:
            _require_archived(database, years, archive, progress)
        going = [item for item in read_partitions(connection) if item.table in FIGURE_TABLES and item.year in years]
        freed = sum(item.bytes for item in going)
        details = {
            "years": years,
            "archive": str(archive) if archive else None,
            "bytes": freed,
            "deleted": drop_years(connection, years),
        }
        action_id = record_action(connection, kind="drop_figures", actor=actor, reason=reason, details=details)
    return DroppedYears(tuple(years), freed, action_id)


def _years(connection: sa.Connection, before: int) -> list[int]:
    years = [year for year in read_figure_years(connection) if year < before]
    if not years:
        raise DecisionError(f"No figures of a year before {before} are stored")
    if loose := [year for year in years if not is_partitioned_year(connection, year)]:
        raise DecisionError(f"Figures of {loose[0]} have no partition of their own: they cannot be dropped by the year")
    return years


def _require_no_run(connection: sa.Connection) -> None:
    running = read_recorded_runs(connection, alive_at=read_now(connection) - SIGN_OF_LIFE)
    if running:
        raise DecisionError(f"Run {running[0].run_id} is under way: drop figures once it has ended")


def _require_unneeded(connection: sa.Connection, before: int) -> None:
    cut = date(before, 1, 1)
    kept = _first_kept(connection, cut)
    reached = read_calendar(connection).offset(kept, CARRIED_SESSIONS)
    earliest, count = connection.execute(
        sa.select(sa.func.min(portfolios.c.as_of), sa.func.count()).where(portfolios.c.as_of < reached)
    ).one()
    if count:
        raise DecisionError(
            f"{count} portfolio{'s' if count > 1 else ''} since {earliest} would lose published closes: snapshots are "
            f"valued at those of their sessions and of the {CARRIED_SESSIONS} before. Drop years before "
            f"{earliest.year} only"
        )
    marks = figure_invalidations.c
    earliest_change = sa.func.least(marks.first_session, marks.actions_from)
    marked = connection.execute(
        sa.select(marks.symbol).where(earliest_change < cut).order_by(marks.symbol).limit(1)
    ).scalar()
    if marked is not None:
        raise DecisionError(
            f"Published figures of {marked} before {cut} await recomputation: the next symbol run settles that"
        )


def _first_kept(connection: sa.Connection, cut: date) -> date:
    """The first published session that stays; generations must not be given twice, so the newest has to."""
    ledger = publications.c
    newest = sa.select(sa.func.max(ledger.generation))
    stays = sa.or_(ledger.session >= cut, ledger.layer == "portfolio")
    left = connection.execute(sa.select(sa.func.max(ledger.generation)).where(stays)).scalar()
    first: date | None = connection.execute(
        sa.select(sa.func.min(ledger.session)).where(ledger.session >= cut, ledger.layer == "symbol")
    ).scalar()
    if first is None:
        raise DecisionError(f"No session since {cut} is published: nothing would be left")
    if left != connection.execute(newest).scalar():
        raise DecisionError(f"The newest publication is of a session before {cut}: publish a newer session first")
    return first


def _require_archived(database: Database, years: Sequence[int], directory: Path, progress: FilesDone) -> None:
    # The layers are locked: what another connection reads now is what is dropped.
    with database.bulk(read_only=True) as transaction:
        gaps = find_gaps(transaction, years, directory, progress=progress)
    if gaps:
        raise DecisionError(f"The archive {directory} does not hold what is stored: {'; '.join(gaps)}")
