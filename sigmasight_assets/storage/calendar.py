"""The exchange's calendar as operators have corrected it: without the dates of unscheduled closures."""

from datetime import date

import sqlalchemy as sa

from sigmasight_assets.errors import TransientStorageError
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.decisions import CLOSED, read_session_decisions


def read_calendar(connection: sa.Connection) -> SessionCalendar:
    """The calendar now in force."""
    closures = [item for item in read_session_decisions(connection) if item.kind == CLOSED]
    return exchange_calendar().without({item.session: str(item) for item in closures})


def read_calendar_in_bulk(transaction: BulkTransaction) -> SessionCalendar:
    """The same, as this transaction sees it; without words on the closures."""
    return exchange_calendar().without(dict.fromkeys(_closed_dates(transaction), "closed by an operator"))


def require_calendar(transaction: BulkTransaction, calendar: SessionCalendar) -> None:
    """Raise ``TransientStorageError`` unless the calendar is the one in force.

    To be called under the lock of the layer that is written: no date is closed or reopened under it.
    """
    changed = sorted(_closed_dates(transaction) ^ set(calendar.closures))
    if changed:
        raise _changed_meanwhile(changed[0])


def require_not_closed(transaction: BulkTransaction, day: date) -> None:
    """Raise ``TransientStorageError`` when a date that was a session has been closed; under the same lock."""
    if day in _closed_dates(transaction):
        raise _changed_meanwhile(day)


def _closed_dates(transaction: BulkTransaction) -> set[date]:
    rows = transaction.read(f"SELECT session FROM session_decisions WHERE kind = '{CLOSED}'")
    return set(rows.column("session").to_pylist())


def _changed_meanwhile(day: date) -> TransientStorageError:
    return TransientStorageError(f"An operator has closed or reopened {day} while this ran: it has to begin again")
