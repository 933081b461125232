"""Reads from the database what the gate decides on."""

from dataclasses import replace
from datetime import date, datetime

from sigmasight_assets.operations.gate import GateState, ready_range
from sigmasight_assets.operations.symbol_state import read_holes, read_now
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import read_waived
from sigmasight_assets.storage.gated_runs import read_gated_run, read_running_steps
from sigmasight_assets.storage.invalidations import read_outdated_symbols
from sigmasight_assets.storage.left_out import read_left_out
from sigmasight_assets.storage.onboarding import read_open_held_requests
from sigmasight_assets.storage.portfolios import read_book_marks
from sigmasight_assets.storage.publications import read_newest_portfolio_generation, read_published_sessions
from sigmasight_assets.storage.snapshot_parts import read_unpublished
from sigmasight_assets.storage.snapshots import read_consumed

# Publications, consumed generations and marks are read one after the other and must be of one moment.
ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


def read_gate_state(database: Database, *, now: datetime) -> GateState:
    """The state at one moment; which sessions are complete goes by ``now``, ages by the database's clock."""
    with database.begin() as connection:
        connection.exec_driver_sql(ONE_MOMENT)
        calendar = read_calendar(connection)
        first_needed, stale_books = read_book_marks(connection)
        sessions = calendar.between(first_needed, calendar.last_complete(now)) if first_needed is not None else []
        complete = {day: item for day, item in read_published_sessions(connection).items() if item.is_complete}
        waived = read_waived(connection)
        first = min(complete, default=date.min)
        holes = [day for day in sessions if day >= first and day not in complete and day not in waived]
        state = GateState(
            now=read_now(connection),
            sessions=sessions,
            symbol_generations={day: item.generation for day, item in complete.items()},
            published_at={day: item.published_at for day, item in complete.items()},
            consumed=read_consumed(connection),
            snapshot_generation=read_newest_portfolio_generation(connection),
            unpublished=read_unpublished(connection),
            stale_books=stale_books,
            left_out=read_left_out(connection),
            waived=waived,
            open_requests=read_open_held_requests(connection),
            marked=read_outdated_symbols(connection),
            holes=read_holes(connection, holes),
            running=read_running_steps(connection),
        )
        chosen = ready_range(state)
        recorded = read_gated_run(connection, chosen.input_hash) if chosen else None
        return replace(state, runs={chosen.input_hash: recorded}) if chosen and recorded else state
