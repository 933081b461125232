"""What people are told of late sessions."""

from datetime import date

from sigmasight_assets.operations.failures import Failure
from sigmasight_assets.operations.late_sessions import late_document, raise_late
from sigmasight_assets.operations.symbol_plan import LateSession
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import rows_of

FRI = date(2025, 7, 25)
LATE, MISSED = LateSession(FRI, "late"), LateSession(FRI, "missed")
FAILURE = Failure(
    "session_not_published",
    "critical",
    str(FRI),
    "symbol_daily_metrics, check coverage: 10 of 500",
    "next attempt at 23:30",
    session=FRI,
    asset="symbol_daily_metrics",
    check="coverage",
    run_id="r1",
    attempts=3,
)


def test_the_document_names_session_cause_and_next_step() -> None:
    assert late_document(LATE, FAILURE) == {
        "kind": "session_late",
        "session": "2025-07-25",
        "text": "session 2025-07-25 not published by 23:00 New York",
        "cause": "symbol_daily_metrics, check coverage: 10 of 500",
        "asset": "symbol_daily_metrics",
        "check": "coverage",
        "run_id": "r1",
        "attempts": 3,
        "next_step": "next attempt at 23:30",
    }
    assert late_document(MISSED, None) == {
        "kind": "session_missed",
        "session": "2025-07-25",
        "text": "session 2025-07-25 not published by 06:00 New York of the next day",
    }


def test_each_is_raised_once(database: Database) -> None:
    with database.begin() as connection:
        assert raise_late(connection, [LATE], [FAILURE]) == ["late:2025-07-25"]
        assert raise_late(connection, [LATE], [FAILURE]) == []
        assert raise_late(connection, [MISSED], []) == ["missed:2025-07-25"]
    rows = rows_of(database, "SELECT alert_key, severity, payload FROM alerts ORDER BY alert_key")
    assert [(row["alert_key"], row["severity"]) for row in rows] == [
        ("late:2025-07-25", "warning"),
        ("missed:2025-07-25", "critical"),
    ]
    assert rows[0]["payload"]["run_id"] == "r1"
