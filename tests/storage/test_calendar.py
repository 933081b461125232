"""Tests of the calendar as operators have corrected it, in and out of bulk transactions."""

from datetime import date

import pytest

from sigmasight_assets.errors import SessionError, TransientStorageError
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.calendar import (
    read_calendar,
    read_calendar_in_bulk,
    require_calendar,
    require_not_closed,
)
from sigmasight_assets.storage.database import Database
from tests.operations.ledger_rows import decide

TUESDAY, WEDNESDAY, THURSDAY = date(2025, 7, 22), date(2025, 7, 23), date(2025, 7, 24)


def calendar_of(database: Database) -> SessionCalendar:
    with database.begin() as connection:
        return read_calendar(connection)


def test_without_decisions_it_is_the_exchanges(database: Database) -> None:
    assert calendar_of(database) is exchange_calendar()
    with database.bulk(read_only=True) as transaction:
        assert read_calendar_in_bulk(transaction) is exchange_calendar()


def test_closed_dates_are_no_sessions_and_waived_ones_are(database: Database) -> None:
    decide(database, WEDNESDAY, "closed")
    decide(database, THURSDAY, "waived")
    calendar = calendar_of(database)
    assert calendar.between(TUESDAY, THURSDAY) == [TUESDAY, THURSDAY]
    with pytest.raises(
        SessionError, match=r"2025-07-23 is no session: closed by ann on .* UTC \(the vendor has a hole\)"
    ):
        calendar.index(WEDNESDAY)
    with database.bulk(read_only=True) as transaction:
        assert read_calendar_in_bulk(transaction).sessions.tolist() == calendar.sessions.tolist()


def test_a_calendar_that_has_been_changed_since_is_refused(database: Database) -> None:
    before = calendar_of(database)
    decide(database, WEDNESDAY, "closed")
    after = calendar_of(database)
    with database.bulk() as transaction:
        require_calendar(transaction, after)
        require_not_closed(transaction, TUESDAY)
        for other in (before, before.without({WEDNESDAY: "", THURSDAY: ""})):
            with pytest.raises(TransientStorageError, match="An operator has closed or reopened 2025-07-2"):
                require_calendar(transaction, other)
        with pytest.raises(TransientStorageError, match="An operator has closed or reopened 2025-07-23"):
            require_not_closed(transaction, WEDNESDAY)
