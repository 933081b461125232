"""What the symbol layer's planner decides on, read from a real database, and the decisions that follow from it."""

from datetime import date, datetime, timedelta

import pytest

from sigmasight_assets.operations.symbol_plan import SymbolRange, SymbolState, UnderWay, plan
from sigmasight_assets.operations.symbol_state import read_symbol_state
from sigmasight_assets.sessions import NEW_YORK, SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.operations.ledger_rows import decide, judge, publish, run_step
from tests.orchestration.contents import execute

MON, TUE, WED, THU, FRI = (date(2025, 7, day) for day in range(21, 26))
FRIDAY_NIGHT = datetime(2025, 7, 25, 22, 0, tzinfo=NEW_YORK)
PAUSE = timedelta(minutes=30)


def read(database: Database, clock: datetime = FRIDAY_NIGHT) -> SymbolState:
    with database.begin() as connection:
        return read_symbol_state(connection, clock=clock, pause=PAUSE)


def test_an_empty_database(database: Database) -> None:
    state = read(database)
    assert (list(state.sessions), set(state.published), state.last_ended_at, state.running) == ([], set(), None, [])
    assert plan(state).chosen is None


def test_sessions_begin_with_the_first_published_one(database: Database) -> None:
    publish(database, TUE)
    publish(database, FRI, products=SYMBOL_PRODUCTS[:5])
    state = read(database)
    assert state.sessions == [TUE, WED, THU, FRI]
    assert state.published == {TUE}
    assert plan(state).chosen == SymbolRange(WED, FRI, 1)
    assert read(database, FRIDAY_NIGHT.replace(hour=20)).sessions == [TUE, WED, THU]


def test_the_window_reaches_back_twenty_sessions(database: Database, calendar: SessionCalendar) -> None:
    publish(database, date(2025, 3, 3))
    assert read(database).sessions == calendar.between(date(2025, 6, 27), FRI)
    assert len(read(database).sessions) == 20


def test_closed_dates_are_no_sessions_and_waived_ones_are_told(database: Database) -> None:
    publish(database, MON)
    decide(database, TUE, "closed")
    decide(database, THU, "waived")
    state = read(database)
    assert state.sessions == [MON, WED, THU, FRI]
    assert state.waived == {THU}
    assert plan(state).chosen == SymbolRange(WED, WED, 1)


def test_attempts_are_counted_by_run_and_session(database: Database) -> None:
    publish(database, MON)
    run_step(database, "early", WED, THU, error="no answer", ended_ago=600)
    for kind in ("symbol_universe", "symbol_prices"):
        run_step(database, "late", THU, FRI, kind=kind, ended_ago=11)
    run_step(database, "late", THU, FRI, error="2025-07-25 coverage: low", ended_ago=10)
    run_step(database, "books", WED, FRI, kind="portfolio_products", ended_ago=1)
    state = read(database)
    assert {day: (item.run_id, item.number, item.has_failed) for day, item in state.attempts.items()} == {
        WED: ("early", 1, True),
        THU: ("late", 2, True),
        FRI: ("late", 1, True),
    }
    assert state.now - state.attempts[FRI].ended_at == pytest.approx(timedelta(minutes=10), abs=timedelta(seconds=30))
    assert state.last_ended_at == state.attempts[FRI].ended_at
    decision = plan(state)
    assert decision.chosen is None
    assert decision.next_attempt == state.attempts[FRI].ended_at + PAUSE
    assert plan(read(database)).chosen is None


def test_a_running_step_is_a_run_under_way(database: Database) -> None:
    publish(database, MON)
    run_step(database, "night", FRI, kind="symbol_universe")
    run_step(database, "night", FRI, kind="symbol_prices", ended_ago=None)
    state = read(database)
    assert (state.running, dict(state.attempts)) == ([UnderWay("night", FRI, FRI)], {})
    assert "run night of the symbol layer is under way" in plan(state).reasons[0]
    run_step(database, "books", MON, kind="portfolio_products", ended_ago=None)
    execute(database, "UPDATE batch_runs SET status = 'failed' WHERE run_id = 'night'")
    assert read(database).running == []


def test_a_run_without_a_sign_of_life_is_not_under_way(database: Database) -> None:
    """It still counts as an attempt, so that the next one is another."""
    publish(database, THU)
    run_step(database, "early", FRI, error="no answer", ended_ago=60)
    run_step(database, "killed", FRI, kind="symbol_prices", ended_ago=None)
    execute(database, "UPDATE batch_runs SET seen_at = now() - interval '6 minutes' WHERE run_id = 'killed'")
    state = read(database)
    assert state.running == []
    assert (state.attempts[FRI].run_id, state.attempts[FRI].number) == ("early", 2)
    assert [step.run_id for step in state.holes[FRI].steps] == ["killed"]
    assert plan(state).chosen == SymbolRange(FRI, FRI, 3)


def test_holes_and_marks_are_read(database: Database) -> None:
    publish(database, MON, TUE)
    publish(database, THU, products=SYMBOL_PRODUCTS[1:])
    judge(database, Verdict("coverage", FRI, passed=False, detail="10 of 500"))
    judge(database, Verdict("coverage", TUE, passed=False, detail="published all the same"))
    execute(
        database,
        "INSERT INTO figure_invalidations (symbol, first_session, last_session, has_new_returns, run_id) "
        "VALUES ('BBB', :day, :day, true, 'r'), ('AAA', :day, :day, true, 'r')",
        day=MON,
    )
    state = read(database)
    assert list(state.holes) == [WED, THU, FRI]
    assert (state.holes[WED].published, state.holes[WED].refusals) == (frozenset(), ())
    assert state.holes[THU].published == set(SYMBOL_PRODUCTS[1:])
    assert [(item.check, item.detail) for item in state.holes[FRI].refusals] == [("coverage", "10 of 500")]
    assert list(state.marked) == ["AAA", "BBB"]
