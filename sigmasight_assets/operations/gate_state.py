"""Reads from the database what the gate decides on."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sigmasight_assets.operations.gate import GateState
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict, read_failed_input_hashes, read_failed_verdicts
from sigmasight_assets.storage.portfolios import read_book_marks
from sigmasight_assets.storage.publications import read_symbol_generations
from sigmasight_assets.storage.snapshots import read_consumed


def read_gate_state(database: Database, calendar: SessionCalendar, *, now: datetime) -> GateState:
    """The state at this instant, in one transaction."""
    with database.begin() as connection:
        first_needed, stale_books = read_book_marks(connection)
        newest = calendar.last_complete(now)
        sessions = calendar.between(first_needed, newest) if first_needed is not None else []
        return GateState(
            sessions=sessions,
            symbol_generations=read_symbol_generations(connection),
            consumed=read_consumed(connection),
            stale_books=stale_books,
            failed_checks=_texts(read_failed_verdicts(connection, "symbol")),
            failed_runs=read_failed_input_hashes(connection),
        )


def _texts(verdicts: Mapping[date, Sequence[Verdict]]) -> dict[date, str]:
    return {day: "; ".join(f"{item.check}: {item.detail}" for item in items) for day, items in verdicts.items()}
