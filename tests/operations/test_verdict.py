"""The verdict on a night, as the tables tell it: in order, in time, late or failing, and what comes next."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from sigmasight_assets.operations.status import read_status
from sigmasight_assets.operations.verdict import Verdict, judge
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict as Judgement
from sigmasight_assets.storage.portfolios import create_portfolio, mark_edited
from tests.operations.ledger_rows import consume, decide, publish, run_step
from tests.operations.ledger_rows import judge as record
from tests.orchestration.contents import execute

MON, TUE, WED, THU, FRI = (date(2025, 7, day) for day in range(21, 26))
EVENING = datetime(2025, 7, 25, 22, 0, tzinfo=NEW_YORK)
LATE_EVENING = EVENING.replace(hour=23)


def verdict(database: Database, clock: datetime = EVENING) -> Verdict:
    """The verdict, which is the same however many sessions are shown."""
    found, *others = (
        judge(read_status(database, clock=clock, pause=timedelta(minutes=30), sessions=sessions))
        for sessions in (5, 1, 40)
    )
    assert others == [found, found]
    return found


def add_portfolio(database: Database, as_of: date = TUE) -> int:
    with database.begin() as connection:
        stored = create_portfolio(connection, user="ann", name="main", equity=Decimal(1), as_of=as_of, lots=[])
    return stored.portfolio_id


def settle(database: Database) -> None:
    """Have no portfolio with edits that its snapshots lack."""
    execute(database, "UPDATE portfolios SET stale_from = NULL")


def test_before_the_first_publication_there_is_nothing_to_be_late(database: Database) -> None:
    found = verdict(database)
    assert (found.state, found.sentence, found.has_gaps) == ("empty", "nothing is published yet", False)
    assert found.next_step == "the symbol layer has not published any session yet (job symbol_layer)"


def test_everything_that_is_published_is_current(database: Database) -> None:
    generation = publish(database, TUE, WED, THU, FRI)
    found = verdict(database)
    assert (found.state, found.next_step, found.has_gaps) == ("current", None, False)
    assert found.sentence.startswith("all current: 2025-07-25 is published, ")
    assert found.sentence.endswith(f", generation {generation}")


def test_a_session_is_due_then_late(database: Database) -> None:
    publish(database, TUE, WED, THU)
    due = verdict(database)
    assert (due.state, due.sentence, due.has_gaps) == ("due", "2025-07-25 is due, in time", False)
    assert due.next_step == "the sensor late_sessions runs 2025-07-25"
    late = verdict(database, LATE_EVENING)
    assert (late.state, late.sentence, late.has_gaps) == ("failing", "2025-07-25 is not published", True)
    assert late.next_step == "the sensor late_sessions starts a run within a minute; at once: `sigmasight retry`"


def test_an_attempt_that_failed_counts_at_once_and_says_when_the_next_is(database: Database) -> None:
    publish(database, TUE, WED, THU)
    run_step(database, "r1", FRI, error="no answer", ended_ago=10)
    found = verdict(database)
    assert (found.state, found.sentence) == ("failing", "2025-07-25 is not published")
    assert found.next_step is not None
    assert found.next_step.startswith("next attempt at ")
    assert found.next_step.endswith(" New York; at once: `sigmasight retry`")


def test_several_sessions_are_counted(database: Database) -> None:
    publish(database, TUE)
    record(database, Judgement("coverage", WED, passed=False, detail="0.5 < 0.98"))
    assert verdict(database).sentence == "2025-07-23 and 2025-07-24 are not published"
    assert verdict(database, LATE_EVENING).sentence == "3 sessions from 2025-07-23 to 2025-07-25 are not published"


def test_a_waived_session_is_no_gap(database: Database) -> None:
    publish(database, TUE, WED, THU)
    decide(database, FRI, "waived")
    assert verdict(database, LATE_EVENING).state == "current"


def test_snapshots_are_late_when_the_evening_is(database: Database) -> None:
    add_portfolio(database)
    generation = publish(database, TUE, WED, THU, FRI)
    consume(database, generation, TUE, WED, THU)
    settle(database)
    assert verdict(database).state == "current"
    found = verdict(database, LATE_EVENING)
    assert (found.state, found.sentence, found.has_gaps) == ("late", "snapshots of 2025-07-25 are missing", True)
    assert found.next_step == "the gate starts snapshots of 2025-07-25 to 2025-07-25"


def test_snapshots_of_older_sessions_are_late_too(database: Database) -> None:
    """``verdict`` asks for one session as well, of which nothing is missing."""
    add_portfolio(database)
    generation = publish(database, TUE, WED, THU, FRI)
    consume(database, generation, TUE, FRI)
    settle(database)
    found = verdict(database, LATE_EVENING)
    assert (found.state, found.sentence) == ("late", "snapshots of 2025-07-23 and 2025-07-24 are missing")


def test_an_older_session_that_failed_has_its_next_step_whatever_is_shown(database: Database) -> None:
    publish(database, TUE, WED, FRI)
    run_step(database, "r1", THU, error="no answer", ended_ago=10)
    found = verdict(database)
    assert (found.state, found.sentence) == ("failing", "2025-07-24 is not published")
    assert found.next_step is not None
    assert found.next_step.endswith("; at once: `sigmasight retry`")


def test_sessions_that_nobody_waits_for_make_nothing_late(database: Database) -> None:
    """Attempts failed before the first publication, and at a hole that is too old to be taken up."""
    long_ago, hole = date(2025, 6, 2), date(2025, 6, 4)
    publish(database, TUE, WED, THU, FRI)
    run_step(database, "r1", MON, error="no answer", ended_ago=10)
    found = verdict(database, LATE_EVENING)
    assert (found.state, found.has_gaps) == ("current", False)
    run_step(database, "r2", hole, error="no answer", ended_ago=9)
    publish(database, long_ago, *(day for day in exchange_calendar().between(hole, FRI) if day != hole))
    status = read_status(database, clock=LATE_EVENING, pause=timedelta(minutes=30), sessions=40)
    assert {item.session: item.state for item in status.sessions}[hole] == "failed"
    assert status.failures == []
    found = verdict(database, LATE_EVENING)
    assert (found.state, found.has_gaps) == ("current", False)


def test_snapshots_that_stay_stale_are_late(database: Database) -> None:
    """An owner's edit that no gate takes up."""
    number = add_portfolio(database)
    generation = publish(database, TUE, WED, THU, FRI)
    consume(database, generation, TUE, WED, THU, FRI)
    settle(database)
    assert verdict(database, LATE_EVENING).state == "current"
    with database.begin() as connection:
        mark_edited(connection, number, edited_from=FRI)
    assert verdict(database).state == "current"
    found = verdict(database, LATE_EVENING)
    assert (found.state, found.sentence, found.has_gaps) == ("late", "snapshots of 2025-07-25 are stale", True)
    assert found.next_step == "the gate starts snapshots of 2025-07-25 to 2025-07-25"
    with database.begin() as connection:
        mark_edited(connection, number, edited_from=WED)
    assert verdict(database).sentence == "snapshots of 2025-07-23 and 2025-07-24 are stale"
    run_step(database, "r1", WED, THU, FRI, kind="portfolio_products", ended_ago=None)
    assert verdict(database, LATE_EVENING).state == "current"


def test_missing_and_stale_snapshots_are_told_apart(database: Database) -> None:
    add_portfolio(database)
    generation = publish(database, TUE, WED, THU, FRI)
    consume(database, generation, TUE, WED)
    found = verdict(database, LATE_EVENING)
    assert found.sentence == (
        "snapshots of 2025-07-24 and 2025-07-25 are missing; snapshots of 2025-07-22 and 2025-07-23 are stale"
    )


def test_portfolios_that_never_had_a_snapshot_are_late(database: Database) -> None:
    add_portfolio(database, as_of=FRI)
    publish(database, TUE, WED, THU, FRI)
    assert verdict(database).state == "current"
    found = verdict(database, LATE_EVENING)
    assert (found.state, found.sentence, found.has_gaps) == ("late", "snapshots of 2025-07-25 are missing", True)
    assert found.next_step == "the gate starts snapshots of 2025-07-25 to 2025-07-25"


def test_snapshots_that_no_portfolio_needs_are_not_late(database: Database) -> None:
    """Of sessions before the first portfolio, and of none at all once the last portfolio is gone."""
    add_portfolio(database, as_of=FRI)
    consume(database, publish(database, TUE, WED, THU, FRI), THU, FRI)
    settle(database)
    publish(database, THU)
    assert verdict(database, LATE_EVENING).state == "current"
    publish(database, FRI)
    assert verdict(database, LATE_EVENING).sentence == "snapshots of 2025-07-25 are stale"
    execute(database, "DELETE FROM portfolios")
    assert verdict(database, LATE_EVENING).state == "current"


def test_warnings_are_counted_and_are_no_gap(database: Database) -> None:
    publish(database, TUE, WED, THU, FRI)
    execute(
        database,
        "INSERT INTO symbol_universe (symbol, name, asset_type, status, status_reason) "
        "VALUES ('AAA', 'A', 'equity', 'error', 'nothing of it'), ('BBB', 'B', 'equity', 'error', 'nothing of it')",
    )
    found = verdict(database)
    assert (found.state, found.has_gaps) == ("current", False)
    assert found.sentence.endswith("; 2 warnings")


def test_what_else_is_critical_is_named_with_its_way_out(database: Database) -> None:
    add_portfolio(database)
    publish(database, TUE, WED, THU, FRI)
    execute(
        database,
        "INSERT INTO figure_invalidations (symbol, first_session, last_session, has_new_returns, run_id, marked_at) "
        "VALUES ('AAA', '2025-07-22', '2025-07-22', true, 'r0', now() - interval '2 hours')",
    )
    found = verdict(database)
    assert (found.state, found.has_gaps) == ("failing", True)
    assert found.sentence.startswith("marks not settled: AAA")
    assert found.next_step is not None
    assert "`sigmasight retry`" in found.next_step
