"""The exchange's calendar as operators have corrected it: without the dates of unscheduled closures."""

import sqlalchemy as sa

from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.decisions import read_closures


def read_calendar(connection: sa.Connection) -> SessionCalendar:
    """The calendar now in force."""
    return exchange_calendar().without(read_closures(connection))


def read_calendar_in_bulk(transaction: BulkTransaction) -> SessionCalendar:
    """The same, as this transaction sees it."""
    rows = transaction.read("SELECT session FROM session_decisions WHERE kind = 'closed'")
    return exchange_calendar().without(rows.column("session").to_pylist())
