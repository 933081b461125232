"""Reports of the service's clock and database, without HTTP; the routes are tested with theirs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from sigmasight_api.reports import Reports
from sigmasight_api.repository import Page, Repository
from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.database import Database
from tests.api.market import SESSIONS, publish, random_figures
from tests.operations.ledger_rows import run_step

EVENING = datetime(2025, 8, 1, 2, 0, tzinfo=UTC)
ALL = Page(100, 0)


def reports(database: Database, clock: datetime = EVENING, pause: timedelta = timedelta(minutes=30)) -> Reports:
    return Reports(
        Repository(database), database, clock=lambda: clock, pause=pause, orchestrator="http://127.0.0.1:3000"
    )


def test_sessions_are_late_by_the_services_clock(database: Database) -> None:
    publish(database, SESSIONS[-2], random_figures(["AAA"], seed=1))
    by_clock = {
        clock: (
            reports(database, clock).freshness().layers[0].behind,
            reports(database, clock).status(1).sessions[0].state,
            reports(database, clock).failures(ALL).total,
        )
        for clock in (EVENING - timedelta(hours=2), EVENING, EVENING + timedelta(hours=1), EVENING + timedelta(hours=8))
    }
    assert list(by_clock.values()) == [(0, "published", 0), (1, "due", 0), (1, "late", 1), (1, "missed", 1)]


def test_the_verdict_is_the_same_however_many_sessions_are_shown(database: Database) -> None:
    for session in (*SESSIONS[-5:-2], SESSIONS[-1]):
        publish(database, session, random_figures(["AAA"], seed=1))
    run_step(database, "r1", SESSIONS[-2], error="no answer", ended_ago=1)
    one, more = (reports(database).status(sessions) for sessions in (1, 40))
    assert (len(one.sessions), len(more.sessions)) == (1, 40)
    assert one.verdict == more.verdict
    assert one.verdict.sentence == f"{SESSIONS[-2]} is not published"
    assert (one.verdict.next_step or "").endswith("; at once: `sigmasight retry`")


def test_the_next_attempt_follows_after_the_pause(database: Database) -> None:
    publish(database, SESSIONS[-2], random_figures(["AAA"], seed=1))
    run_step(database, "r1", SESSIONS[-1], error="no answer", ended_ago=1)
    soon, later = (
        reports(database, pause=timedelta(minutes=minutes)).failures(ALL).items[0].next_attempt for minutes in (30, 60)
    )
    assert soon is not None
    assert later is not None
    assert later - soon == timedelta(minutes=30)


@pytest.mark.parametrize(
    "ask",
    [
        lambda found: found.status(5),
        lambda found: found.freshness(),
        lambda found: found.failures(ALL),
        lambda found: found.history(ALL),
    ],
)
def test_a_database_that_is_away_is_a_storage_error(ask: Callable[[Reports], object]) -> None:
    away = Database("postgresql+psycopg2://someone:secret@127.0.0.1:9/nothing")
    with pytest.raises(StorageError, match="does not answer"):
        ask(reports(away))
