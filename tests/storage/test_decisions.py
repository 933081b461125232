"""Tests of the audit and of the decisions on sessions."""

from datetime import date

import pytest

from sigmasight_assets.errors import DecisionError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import (
    CLOSED,
    WAIVED,
    forget_session_decision,
    read_actions,
    read_closures,
    read_session_decision,
    read_session_decisions,
    read_waived,
    record_action,
    record_session_decision,
)

MONDAY, TUESDAY = date(2025, 7, 21), date(2025, 7, 22)


def decide(database: Database, day: date, kind: str, reason: str) -> int:
    action = "waive_session" if kind == WAIVED else "close_session"
    with database.begin() as connection:
        action_id = record_action(connection, kind=action, actor="pat", reason=reason, session=day)
        record_session_decision(connection, day, kind=kind, action_id=action_id)
    return action_id


def test_the_audit_is_paged_newest_first(database: Database) -> None:
    with database.begin() as connection:
        for number in range(5):
            record_action(
                connection, kind="retry", actor="pat", reason=f"reason {number}", symbol="AAA", details={"n": number}
            )
        items, total = read_actions(connection, limit=2, offset=1)
        assert read_actions(connection, limit=2, offset=9) == ([], 5)
    assert ([item.reason for item in items], total) == (["reason 3", "reason 2"], 5)
    assert (items[0].kind, items[0].actor, items[0].symbol, items[0].session) == ("retry", "pat", "AAA", None)
    assert items[0].details == {"n": 3}


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "a\ttab", "\x00"])
def test_a_reason_is_one_line(database: Database, reason: str) -> None:
    with database.begin() as connection:
        with pytest.raises(DecisionError, match="needs a reason"):
            record_action(connection, kind="retry", actor="pat", reason=reason)
        assert read_actions(connection, limit=1) == ([], 0)


def test_decisions_are_in_force_until_they_are_forgotten(database: Database) -> None:
    decide(database, TUESDAY, WAIVED, "no data")
    number = decide(database, MONDAY, CLOSED, "mourning")
    with database.begin() as connection:
        assert (read_waived(connection), read_closures(connection)) == ({TUESDAY: "no data"}, {MONDAY: "mourning"})
        found = read_session_decisions(connection)
        assert [(item.session, item.kind, item.reason) for item in found] == [
            (MONDAY, CLOSED, "mourning"),
            (TUESDAY, WAIVED, "no data"),
        ]
        assert (found[0].actor, found[0].action_id) == ("pat", number)
        assert str(found[0]) == f"closed by pat on {found[0].acted_at:%Y-%m-%d %H:%M} UTC (mourning)"
        assert read_session_decision(connection, MONDAY) == found[0]
        forget_session_decision(connection, MONDAY)
        assert read_session_decision(connection, MONDAY) is None
        assert read_actions(connection, limit=1)[1] == 2


def test_of_two_decisions_at_once_one_is_refused(database: Database) -> None:
    number = decide(database, MONDAY, WAIVED, "no data")
    with pytest.raises(DecisionError, match="Somebody else has just decided on 2025-07-21"), database.begin() as other:
        record_session_decision(other, MONDAY, kind=CLOSED, action_id=number)
