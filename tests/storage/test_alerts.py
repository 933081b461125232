"""Alerts are raised once, and taken for delivery by one caller at a time."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from sigmasight_assets.storage.alerts import (
    Alert,
    raise_alert,
    read_alerts,
    read_raised,
    record_delivery,
    record_failed_delivery,
    take_due_alert,
)
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import execute, rows_of


def raised(database: Database, key: str = "run:1") -> bool:
    with database.begin() as connection:
        return raise_alert(connection, key=key, severity="critical", payload={"cause": "disk full"})


def taken(database: Database) -> Alert | None:
    with database.begin() as connection:
        return take_due_alert(connection)


def test_an_alert_is_raised_once_and_keeps_what_it_said(database: Database) -> None:
    assert raised(database)
    with database.begin() as connection:
        assert not raise_alert(connection, key="run:1", severity="warning", payload={"cause": "another"})
        (alert,) = read_alerts(connection)
        assert read_raised(connection, ["run:1", "run:2"]) == {"run:1"}
    assert (alert.severity, alert.payload, alert.attempts) == ("critical", {"cause": "disk full"}, 0)
    assert (alert.delivered_at, alert.last_error) == (None, None)


def test_a_severity_of_its_own_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError, match="severity"), database.begin() as connection:
        raise_alert(connection, key="run:1", severity="info", payload={})  # type: ignore[arg-type]


def test_the_newest_are_read_first(database: Database) -> None:
    for key in ("a", "b", "c"):
        raised(database, key)
    with database.begin() as connection:
        assert [alert.alert_key for alert in read_alerts(connection, limit=2)] == ["c", "b"]


def test_the_oldest_is_due_first_and_a_delivered_one_no_more(database: Database) -> None:
    for key in ("a", "b"):
        raised(database, key)
    for key in ("a", "b"):
        with database.begin() as connection:
            due = take_due_alert(connection)
            assert due is not None
            assert due.alert_key == key
            record_delivery(connection, key)
    assert taken(database) is None
    rows = rows_of(database, "SELECT attempts, delivered_at IS NULL AS is_open, last_error FROM alerts")
    assert rows == [{"attempts": 1, "is_open": False, "last_error": None}] * 2


def test_two_callers_never_take_the_same(database: Database) -> None:
    for key in ("a", "b"):
        raised(database, key)
    with database.begin() as one, database.begin() as two, database.begin() as three:
        found = [take_due_alert(connection) for connection in (one, two, three)]
    assert [item.alert_key if item else None for item in found] == ["a", "b", None]


def test_one_that_was_not_taken_waits_for_its_pause(database: Database) -> None:
    raised(database)
    with database.begin() as connection:
        record_failed_delivery(connection, "run:1", error="HTTP 500", pause=timedelta(minutes=1))
    assert taken(database) is None
    execute(database, "UPDATE alerts SET not_before = not_before - interval '1 minute'")
    due = taken(database)
    assert due is not None
    assert (due.attempts, due.last_error) == (1, "HTTP 500")
