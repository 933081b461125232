"""People are told of published rows that break an invariant, by the sensor that reports the standing checks."""

from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest

from sigmasight_assets.storage.database import Database
from tests.operations.ledger_rows import publish
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.sensors.ticks import evaluated
from tests.receivers import webhook

pytestmark = pytest.mark.usefixtures("evening")

SATURDAY = date(2025, 7, 26)


def tick(database: Database) -> None:
    """With an orchestrator of its own: what is reported to it is of no interest here."""
    with dg.DagsterInstance.ephemeral() as instance:
        evaluated(database, instance)


def alerts(database: Database) -> list[tuple[str, dict[str, Any]]]:
    query = "SELECT severity, payload FROM alerts WHERE alert_key LIKE 'invariants:%' ORDER BY raised_at"
    return [(row["severity"], row["payload"]) for row in rows_of(database, query)]


SUNDAY = SATURDAY + timedelta(days=1)


def test_people_are_told_once_a_day_whatever_rows_show_it(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(database, *TARGETS)
    tick(database)
    assert alerts(database) == []
    publish(database, SATURDAY)
    tick(database)
    tick(database)
    ((severity, payload),) = alerts(database)
    assert (severity, payload["kind"]) == ("critical", "invariant_broken")
    assert payload["text"] == f"1 broken; the first: rows of what is no session: held_in publications, day {SATURDAY}"
    assert "force" in payload["next_step"]
    publish(database, SUNDAY)
    tick(database)
    execute(database, "DELETE FROM publications WHERE session = :day", day=SATURDAY)
    tick(database)
    assert len(alerts(database)) == 1
    execute(database, "DELETE FROM publications WHERE session = :day", day=SUNDAY)
    tick(database)
    publish(database, SATURDAY)
    # The evening of the fixture is that of the last target; in New York it is the same day until midnight.
    monkeypatch.setenv("SIGMASIGHT_NOW", f"{TARGETS[-1]}T23:59:00-04:00")
    tick(database)
    assert len(alerts(database)) == 1
    monkeypatch.setenv("SIGMASIGHT_NOW", f"{TARGETS[-1] + timedelta(days=1)}T00:01:00-04:00")
    tick(database)
    tick(database)
    assert [each["text"] for _, each in alerts(database)] == [payload["text"], payload["text"]]


def test_people_are_told_of_another_kind_on_the_same_day(published: Database) -> None:
    publish(published, TARGETS[-1] + timedelta(days=3))
    tick(published)
    # Its rows are there, and nobody has published them.
    execute(published, "UPDATE publications SET products = array_remove(products, 'market_beta')")
    tick(published)
    tick(published)
    first, second = [each["text"] for _, each in alerts(published)]
    assert first.startswith("1 broken; the first: rows of what is no session")
    assert "broken; the first: rows of what is not published: product market_beta" in second


def test_what_was_mended_is_not_told_of_any_more(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(database, *TARGETS)
    publish(database, SATURDAY)
    with webhook() as receiver:
        monkeypatch.setenv("SIGMASIGHT_WEBHOOK_URL", receiver.url)
        monkeypatch.setattr("sigmasight_assets.orchestration.sensors.late_sessions.GRACE_SECONDS", 0.0)
        tick(database)
        execute(database, "DELETE FROM publications WHERE session = :day", day=SATURDAY)
        tick(database)
        tick(database)
    (document,) = [each for each in receiver.received if each["kind"] == "invariant_broken"]
    assert document["text"].endswith(f"day {SATURDAY}")
    assert len(alerts(database)) == 1
