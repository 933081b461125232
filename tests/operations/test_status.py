"""The status from our own tables: sessions from prices to snapshots, runs, and that no orchestrator is asked."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from sigmasight_assets.operations.status import SessionStatus, SystemStatus, read_status
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.onboarding import request_onboarding
from sigmasight_assets.storage.operations import Verdict
from sigmasight_assets.storage.portfolios import create_portfolio, mark_edited
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.operations.ledger_rows import consume, decide, judge, publish, run_step
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import execute
from tests.orchestration.deployments import Deploy

MON, TUE, WED, THU, FRI = WEEK = tuple(date(2025, 7, day) for day in range(21, 26))
EVENING = datetime(2025, 7, 25, 22, 0, tzinfo=NEW_YORK)
PAUSE = timedelta(minutes=30)


def read(database: Database, clock: datetime = EVENING, sessions: int = 5) -> SystemStatus:
    return read_status(database, clock=clock, pause=PAUSE, sessions=sessions)


def by_session(database: Database, clock: datetime = EVENING) -> dict[date, SessionStatus]:
    return {item.session: item for item in read(database, clock).sessions}


def states(database: Database, clock: datetime = EVENING) -> list[str]:
    return [item.state for item in reversed(read(database, clock).sessions)]


def add_portfolio(database: Database, as_of: date) -> int:
    with database.begin() as connection:
        stored = create_portfolio(connection, user="ann", name="main", equity=Decimal(1), as_of=as_of, lots=[])
    return stored.portfolio_id


def test_sessions_go_through_their_states(database: Database) -> None:
    assert states(database) == ["not_published"] * 5
    publish(database, TUE)
    assert states(database) == ["not_published", "published", "missed", "missed", "due"]
    run_step(database, "r1", FRI, error="no answer", ended_ago=10)
    assert states(database)[-1] == "failed"
    assert states(database, EVENING.replace(hour=23))[-1] == "late"
    assert states(database, EVENING + timedelta(hours=8))[-1] == "missed"
    decide(database, WED, "waived")
    decide(database, THU, "closed")
    publish(database, FRI)
    assert states(database) == ["not_published", "not_published", "published", "waived", "closed", "published"]


def test_what_is_judged_does_not_go_by_what_is_shown(database: Database) -> None:
    publish(database, *WEEK)
    decide(database, THU, "closed")
    found, more = read(database, sessions=2), read(database, sessions=30)
    assert [item.session for item in found.sessions] == [FRI, THU, WED]
    assert len(more.sessions) == 31
    assert len(found.judged) == 21
    assert found.judged == more.judged == more.sessions[:21]


def test_rows_tell_why_and_what_comes_next(database: Database) -> None:
    publish(database, MON, TUE)
    decide(database, WED, "waived")
    decide(database, THU, "closed")
    judge(database, Verdict("coverage", FRI, passed=False, detail="10 of 500"))
    run_step(database, "r1", FRI, error="not published", ended_ago=10)
    rows = by_session(database)
    assert (rows[WED].waived, rows[WED].failed) == ("the vendor has a hole", None)
    assert (rows[THU].closed, rows[THU].next_step) == ("the vendor has a hole", None)
    assert rows[FRI].failed == "symbol_daily_metrics, check coverage: 10 of 500"
    assert (rows[FRI].next_step or "").startswith("next attempt at 20")
    assert (rows[MON].failed, rows[MON].next_step) == (None, None)
    run_step(database, "r2", FRI, ended_ago=None)
    running = by_session(database)[FRI]
    assert (running.failed, running.next_step) == (rows[FRI].failed, "run r2 is under way")


def test_a_first_night_that_failed_is_told(database: Database) -> None:
    """Before anything is published nothing is due, but people look here for the reason."""
    run_step(database, "r1", FRI, kind="symbol_prices", error="no answer", ended_ago=10)
    found = read(database)
    assert (found.sessions[0].state, found.sessions[0].failed) == (
        "failed",
        "symbol_prices failed in run r1: no answer",
    )
    assert [item.session for item in found.failures] == [FRI]


def test_snapshots_are_none_current_or_stale(database: Database) -> None:
    first = publish(database, *WEEK)
    number = add_portfolio(database, MON)
    rows = by_session(database)
    assert {row.snapshots for row in rows.values()} == {"none"}
    assert {row.next_step for row in rows.values()} == {"the gate starts its snapshots"}
    consume(database, first, *WEEK)
    execute(database, "UPDATE portfolios SET stale_from = NULL")
    rows = by_session(database)
    assert {(row.snapshots, row.next_step) for row in rows.values()} == {("current", None)}
    with database.begin() as connection:
        mark_edited(connection, number, edited_from=THU)
    assert [row.snapshots for row in by_session(database).values()] == [
        "stale",
        "stale",
        "current",
        "current",
        "current",
    ]
    second = publish(database, TUE)
    rows = by_session(database)
    assert (rows[TUE].symbol_generation, rows[TUE].snapshots, rows[WED].snapshots) == (second, "stale", "current")
    assert rows[TUE].published_at is not None
    assert rows[TUE].coverage == 1.0


def test_symbols_older_than_their_prices_are_counted(database: Database) -> None:
    publish(database, *WEEK)
    for symbol, day in (("AAA", WED), ("BBB", FRI)):
        execute(
            database,
            "INSERT INTO symbol_universe (symbol, name, asset_type, last_factor_date) "
            "VALUES (:symbol, 'a', 'equity', :day)",
            symbol=symbol,
            day=FRI,
        )
        execute(
            database,
            "INSERT INTO figure_invalidations (symbol, first_session, last_session, has_new_returns, run_id) "
            "VALUES (:symbol, :day, :day, true, 'r')",
            symbol=symbol,
            day=day,
        )
    assert [row.stale_symbols for row in by_session(database).values()] == [2, 1, 1, 0, 0]
    assert read(database).next_symbols == "the sensor late_sessions republishes what is marked, at 2025-07-25"


def test_runs_are_listed_newest_first(database: Database) -> None:
    publish(database, *WEEK[:4])
    for place in range(12):
        run_step(database, f"r{place:02}", FRI, ended_ago=60 - place, counts={"rows_computed": place})
    run_step(database, "now", FRI, kind="symbol_prices", ended_ago=None)
    found = read(database)
    assert [run.run_id for run in found.running] == ["now"]
    assert [run.run_id for run in found.runs] == ["now", *(f"r{place:02}" for place in range(11, 2, -1))]
    assert (found.runs[1].computed, found.runs[1].status, found.runs[1].seconds) == (11, "succeeded", 60.0)
    assert found.next_symbols == "run now of the symbol layer is under way"


def test_requests_and_alerts_are_counted(database: Database) -> None:
    with database.begin() as connection:
        request_onboarding(connection, ["AAA"], requested_by="owner ann")
        request_onboarding(connection, ["BBB"], requested_by="owner ann", priority=5)
    execute(database, "INSERT INTO alerts (alert_key, severity, payload, attempts) VALUES ('a', 'warning', '{}', 1)")
    execute(database, "INSERT INTO alerts (alert_key, severity, payload) VALUES ('b', 'warning', '{}')")
    found = read(database)
    assert [item.symbol for item in found.onboarding] == ["BBB", "AAA"]
    assert found.alerts_undelivered == 1


def test_what_happens_next_is_said_of_both_layers(database: Database) -> None:
    publish(database, *WEEK[:4])
    add_portfolio(database, MON)
    found = read(database)
    assert found.next_symbols == "the sensor late_sessions runs 2025-07-25"
    assert found.next_snapshots == "the gate starts snapshots of 2025-07-21 to 2025-07-24"


def test_a_purged_orchestrator_changes_nothing(deploy: Deploy, priced: Database) -> None:
    """The same story before and after the orchestrator has lost its history, its cursors and its runs."""
    add_portfolio(priced, TARGETS[-3])
    deployment = deploy(priced)
    assert deployment.run("symbol_layer", TARGETS[-4], TARGETS[-1], assets=SYMBOL_PRODUCTS).success
    execute(priced, "DELETE FROM publications WHERE session = :day", day=TARGETS[-1])
    assert not deployment.run("portfolio_layer", TARGETS[-1]).success
    clock = datetime.combine(TARGETS[-1], datetime.min.time(), UTC) + timedelta(days=1, hours=2)
    before = read(priced, clock)
    assert len(before.runs) == 2
    deployment.instance.wipe()
    assert not deployment.instance.get_runs()
    after = read(priced, clock)
    assert replace(after, failures=[]) == replace(before, failures=[])
    assert [(item.kind, item.subject) for item in after.failures] == [
        (item.kind, item.subject) for item in before.failures
    ]
