"""What the gate decides on, read from a real database, and the decisions that follow from it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
import sqlalchemy as sa

from sigmasight_assets.operations.gate import GateDecision, GateRange, plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.gated_runs import PORTFOLIO_STEP
from sigmasight_assets.storage.onboarding import request_onboarding
from sigmasight_assets.storage.operations import Verdict, finish_batch, start_batch
from sigmasight_assets.storage.portfolios import NewLot, add_capital_flow, create_portfolio, mark_edited
from sigmasight_assets.storage.publications import (
    SYMBOL_PRODUCTS,
    Publication,
    next_generation,
    record_publications,
)
from sigmasight_assets.storage.snapshot_parts import announce_part, finish_slice
from sigmasight_assets.storage.snapshots import record_consumed
from tests.operations.ledger_rows import decide as enter_decision
from tests.operations.ledger_rows import judge, publish
from tests.orchestration.contents import execute

MON, TUE, WED, THU, FRI = (date(2025, 7, day) for day in range(21, 26))
FRIDAY_NIGHT = datetime(2025, 7, 25, 21, 0, tzinfo=NEW_YORK)


def consume(database: Database, generations: dict[date, int]) -> None:
    with database.bulk() as transaction:
        record_consumed(transaction, generations, run_id="run")


def add_portfolio(database: Database, name: str, as_of: date) -> int:
    with database.begin() as connection:
        stored = create_portfolio(connection, user="ann", name=name, equity=Decimal(1000), as_of=as_of, lots=[])
    return stored.portfolio_id


def settle(database: Database) -> None:
    execute(database, "UPDATE portfolios SET stale_from = NULL")


def test_empty_database(database: Database) -> None:
    publish(database, MON)
    state = read_gate_state(database, now=FRIDAY_NIGHT)
    assert list(state.sessions) == []
    assert plan(state).reasons == ("no portfolio needs a snapshot",)


def test_sessions_from_the_earliest_portfolio_to_the_newest_complete_one(database: Database) -> None:
    add_portfolio(database, "later", WED)
    add_portfolio(database, "earlier", TUE)
    assert read_gate_state(database, now=FRIDAY_NIGHT).sessions == [TUE, WED, THU, FRI]
    before_nine = FRIDAY_NIGHT.replace(hour=20, minute=59).astimezone(UTC)
    assert read_gate_state(database, now=before_nine).sessions == [TUE, WED, THU]


def test_a_session_counts_once_all_six_products_are_published(database: Database) -> None:
    add_portfolio(database, "main", MON)
    whole = publish(database, MON)
    publish(database, TUE, products=SYMBOL_PRODUCTS[:5])
    assert read_gate_state(database, now=FRIDAY_NIGHT).symbol_generations == {MON: whole}
    last = publish(database, TUE, products=SYMBOL_PRODUCTS[5:])
    state = read_gate_state(database, now=FRIDAY_NIGHT)
    assert state.symbol_generations == {MON: whole, TUE: last}
    # No run is recorded for what is ready.
    assert state.runs == {}


def test_a_later_publication_of_one_product_is_a_new_generation(database: Database) -> None:
    add_portfolio(database, "main", MON)
    settle(database)
    consume(database, {day: publish(database, day) for day in (MON, TUE, WED, THU, FRI)})
    assert plan(read_gate_state(database, now=FRIDAY_NIGHT)).range is None
    corrected = publish(database, TUE, products=("market_beta",))
    state = read_gate_state(database, now=FRIDAY_NIGHT)
    assert state.symbol_generations[TUE] == corrected
    chosen = plan(state).range
    assert chosen is not None
    assert (chosen.first, chosen.last) == (TUE, FRI)


def test_holes_are_the_sessions_that_nobody_waives_between_published_ones(database: Database) -> None:
    add_portfolio(database, "main", MON)
    publish(database, TUE)
    publish(database, FRI)
    publish(database, THU, products=SYMBOL_PRODUCTS[:5])
    enter_decision(database, WED, "waived")
    holes = read_gate_state(database, now=FRIDAY_NIGHT).holes
    assert {day: hole.published for day, hole in holes.items()} == {THU: set(SYMBOL_PRODUCTS[:5])}


def test_portfolios_that_are_left_out_are_read_with_their_first_session(database: Database) -> None:
    _, large = (add_portfolio(database, name, MON) for name in ("small", "large"))
    assert read_gate_state(database, now=FRIDAY_NIGHT).left_out == {}
    execute(database, "UPDATE portfolios SET left_out_from = :day WHERE portfolio_id = :id", day=TUE, id=large)
    assert read_gate_state(database, now=FRIDAY_NIGHT).left_out == {large: TUE}


def test_sessions_with_slices_that_nobody_has_published_are_listed(database: Database) -> None:
    with database.bulk() as transaction:
        part = announce_part(transaction, {MON: 1, TUE: 2}, generation=3, slices=2, run_id="lost", force=False)
    assert read_gate_state(database, now=FRIDAY_NIGHT).unpublished == set()
    with database.bulk() as transaction:
        none = np.zeros(2, dtype=np.int64)
        finish_slice(transaction, part, 1, existing=none, changed=none, run_id="helper")
    assert read_gate_state(database, now=FRIDAY_NIGHT).unpublished == {MON, TUE}


def test_edited_books_are_listed_with_version_and_date(database: Database) -> None:
    first, second, third = (add_portfolio(database, name, MON) for name in ("first", "second", "third"))
    settle(database)
    with database.begin() as connection:
        add_capital_flow(connection, second, flow_date=THU, amount=Decimal(50))
        mark_edited(connection, second, edited_from=WED)
        mark_edited(connection, third, edited_from=date(2025, 1, 2))
    state = read_gate_state(database, now=FRIDAY_NIGHT)
    assert sorted(state.stale_books) == [(second, 3, WED), (third, 2, MON)]
    assert first not in {book for book, _, _ in state.stale_books}


def step(database: Database, run_id: str, kind: str, days: Sequence[date], input_hash: str | None = None) -> None:
    with database.begin() as connection:
        start_batch(connection, run_id=run_id, kind=kind, sessions=days, input_hash=input_hash)


def end(database: Database, run_id: str, kind: str, error: str | None = None) -> None:
    with database.begin() as connection:
        finish_batch(connection, run_id=run_id, kind=kind, counts={}, error=error)


def silence(database: Database, run_id: str, interval: str) -> None:
    """Let the last sign of life of a run have been so long ago."""
    execute(database, f"UPDATE batch_runs SET seen_at = now() - interval '{interval}' WHERE run_id = :run", run=run_id)


def refuse(database: Database, day: date, check: str, detail: str) -> None:
    judge(database, Verdict(check, day, passed=False, detail=detail))


def decide(database: Database) -> GateDecision:
    return plan(read_gate_state(database, now=FRIDAY_NIGHT))


def bounds(decision: GateDecision) -> tuple[date, date] | None:
    return (decision.range.first, decision.range.last) if decision.range else None


@pytest.fixture
def week(database: Database) -> Database:
    """A portfolio since Monday, everything published and consumed but Friday, which is not published."""
    add_portfolio(database, "main", MON)
    settle(database)
    consume(database, {day: publish(database, day) for day in (MON, TUE, WED, THU)})
    return database


class TestHoles:
    def test_a_session_nobody_tried(self, week: Database) -> None:
        assert decide(week).reasons[0].endswith(f"`sigmasight backfill --from {FRI} --to {FRI}`")

    def test_the_checks_that_refused_it_are_named_with_asset_and_symbols(self, week: Database) -> None:
        step(week, "r1", "symbol_prices", [FRI])
        end(week, "r1", "symbol_prices")
        step(week, "r1", "symbol_products", [FRI])
        refuse(week, FRI, "coverage", "480 of 500 active symbols have a bar; without: AAA, BBB")
        refuse(week, THU, "coverage", "of a session that was published since")
        end(week, "r1", "symbol_products", "1 of 1 sessions were not published")
        assert decide(week).reasons == (
            (
                f"{FRI} waits: symbol_daily_metrics, check coverage: "
                "480 of 500 active symbols have a bar; without: AAA, BBB"
            ),
        )

    def test_a_step_that_failed_before_any_check_is_named_with_run_and_error(self, week: Database) -> None:
        refuse(week, FRI, "coverage", "of the run before")
        step(week, "r2", "symbol_prices", [THU, FRI])
        end(week, "r2", "symbol_prices", "Yahoo does not answer")
        assert decide(week).reasons == (f"{FRI} waits: symbol_prices failed in run r2: Yahoo does not answer",)

    def test_a_run_at_work_is_named(self, week: Database) -> None:
        step(week, "r3", "symbol_prices", [FRI])
        assert decide(week).reasons == (f"{FRI} waits: symbol_prices: run r3 is at work",)
        silence(week, "r3", "1 hour")
        assert "run r3 has given no sign of life since" in decide(week).reasons[0]

    def test_what_is_missing_of_a_partly_published_session(self, week: Database) -> None:
        publish(week, FRI, products=SYMBOL_PRODUCTS[:5])
        assert decide(week).reasons[0].startswith(f"{FRI} waits: symbol_daily_metrics is not published: ")


class TestDecisions:
    """What operators have decided; the tables are written as their commands do."""

    def test_a_waived_session_is_spanned_until_it_is_published(self, database: Database) -> None:
        add_portfolio(database, "main", MON)
        for day in (MON, TUE, THU, FRI):
            publish(database, day)
        assert bounds(decide(database)) == (MON, TUE)
        enter_decision(database, WED, "waived")
        state = read_gate_state(database, now=FRIDAY_NIGHT)
        assert state.waived == {WED: "the vendor has a hole"}
        assert bounds(plan(state)) == (MON, FRI)
        assert state.needed == [MON, TUE, THU, FRI]
        consume(database, {day: state.symbol_generations[day] for day in state.needed})
        settle(database)
        assert decide(database).range is None
        publish(database, WED)
        assert bounds(decide(database)) == (WED, FRI)

    def test_a_day_the_exchange_was_closed_is_no_session(self, database: Database) -> None:
        add_portfolio(database, "main", MON)
        for day in (MON, TUE, THU):
            publish(database, day)
        enter_decision(database, WED, "closed")
        enter_decision(database, FRI, "closed")
        state = read_gate_state(database, now=FRIDAY_NIGHT)
        assert state.sessions == [MON, TUE, THU]
        assert bounds(plan(state)) == (MON, THU)


class TestOnboarding:
    @pytest.fixture
    def holding(self, week: Database) -> Database:
        """Friday is published, and somebody holds NEWCO."""
        publish(week, FRI)
        lot = NewLot("NEWCO", Decimal(10), Decimal(5), MON)
        with week.begin() as connection:
            create_portfolio(connection, user="bob", name="new", equity=Decimal(100), as_of=MON, lots=[lot])
        settle(week)
        execute(week, "DELETE FROM symbol_onboarding_queue")
        return week

    @staticmethod
    def request(database: Database, symbol: str, *, ago: str, published_ago: str = "1 hour") -> None:
        with database.begin() as connection:
            request_onboarding(connection, [symbol], requested_by="bob")
        execute(database, f"UPDATE symbol_onboarding_queue SET requested_at = now() - interval '{ago}'")
        execute(database, f"UPDATE publications SET published_at = now() - interval '{published_ago}'")

    def test_a_held_symbol_that_was_just_asked_for_is_waited_for(self, holding: Database) -> None:
        assert bounds(decide(holding)) == (FRI, FRI)
        self.request(holding, "NEWCO", ago="100 seconds")
        decision = decide(holding)
        assert decision.range is None
        assert decision.is_pending
        assert "onboarding of NEWCO is open, waited for until " in decision.reasons[0]

    def test_also_after_a_publication(self, holding: Database) -> None:
        self.request(holding, "NEWCO", ago="2 hours", published_ago="100 seconds")
        assert decide(holding).range is None

    def test_not_for_ever(self, holding: Database) -> None:
        self.request(holding, "NEWCO", ago="121 seconds", published_ago="121 seconds")
        assert bounds(decide(holding)) == (FRI, FRI)

    def test_not_once_it_is_done(self, holding: Database) -> None:
        self.request(holding, "NEWCO", ago="1 second")
        execute(holding, "UPDATE symbol_onboarding_queue SET status = 'completed', finished_at = now()")
        assert bounds(decide(holding)) == (FRI, FRI)

    def test_not_for_a_symbol_nobody_holds(self, holding: Database) -> None:
        self.request(holding, "OTHER", ago="1 second")
        assert bounds(decide(holding)) == (FRI, FRI)


class TestMarks:
    @staticmethod
    def mark(database: Database, symbol: str, first: date) -> None:
        execute(
            database,
            "INSERT INTO symbol_universe (symbol, name, asset_type, last_factor_date) "
            "VALUES (:symbol, 'A', 'equity', :day)",
            symbol=symbol,
            day=THU,
        )
        execute(
            database,
            "INSERT INTO figure_invalidations (symbol, first_session, last_session, has_new_returns, run_id) "
            "VALUES (:symbol, :first, :first, true, 'prices')",
            symbol=symbol,
            first=first,
        )

    def test_figures_older_than_prices_hold_back_their_sessions(self, database: Database) -> None:
        add_portfolio(database, "main", MON)
        for day in (MON, TUE, WED, THU, FRI):
            publish(database, day)
        self.mark(database, "AAPL", WED)
        decision = decide(database)
        assert bounds(decision) == (MON, TUE)
        (reason,) = decision.reasons
        assert reason.startswith(f"{WED} to {FRI} wait: market_beta, ")
        assert reason.endswith(f"of AAPL are older than symbol_prices since {WED}: run the job symbol_layer")
        step(database, "r1", "onboarded_symbols", [MON])
        assert decide(database).reasons[0].endswith("run r1 is at work")
        silence(database, "r1", "1 hour")
        assert decide(database).reasons[0].endswith("run the job symbol_layer")
        execute(database, "DELETE FROM figure_invalidations")
        assert bounds(decide(database)) == (MON, FRI)

    def test_a_symbol_without_published_figures_holds_back_nothing(self, database: Database) -> None:
        add_portfolio(database, "main", MON)
        publish(database, MON)
        self.mark(database, "NEWCO", MON)
        execute(database, "UPDATE symbol_universe SET last_factor_date = NULL")
        assert bounds(decide(database)) == (MON, MON)


class TestRuns:
    @pytest.fixture
    def wanted(self, week: Database) -> GateRange:
        """Friday, published, is to be computed."""
        publish(week, FRI)
        chosen = decide(week).range
        assert chosen is not None
        return chosen

    def test_a_failed_run_is_reported_until_the_inputs_change(self, week: Database, wanted: GateRange) -> None:
        step(week, "r1", PORTFOLIO_STEP, [FRI], wanted.input_hash)
        end(week, "r1", PORTFOLIO_STEP, "the disk is full")
        decision = decide(week)
        assert (decision.range, decision.failed_run) == (None, "r1")
        assert decision.reasons == (
            f"{FRI}: run r1 failed for these same inputs: the disk is full; mend the cause, then `sigmasight retry`",
        )
        publish(week, FRI, products=("ir_beta",))
        assert bounds(decide(week)) == (FRI, FRI)

    @pytest.mark.parametrize("outcomes", [("failed",), ("failed", "succeeded"), ("succeeded", "failed")])
    def test_the_newest_run_of_the_same_inputs_counts(
        self, week: Database, wanted: GateRange, outcomes: tuple[str, ...]
    ) -> None:
        for position, outcome in enumerate(outcomes):
            step(week, f"r{position}", PORTFOLIO_STEP, [FRI], wanted.input_hash)
            end(week, f"r{position}", PORTFOLIO_STEP, "broken" if outcome == "failed" else None)
        step(week, "by hand", PORTFOLIO_STEP, [FRI])
        end(week, "by hand", PORTFOLIO_STEP, "broken")
        assert decide(week).failed_run == (f"r{len(outcomes) - 1}" if outcomes[-1] == "failed" else None)

    @pytest.mark.usefixtures("wanted")
    def test_a_run_by_hand_is_waited_for_while_it_lives(self, week: Database) -> None:
        step(week, "by hand", PORTFOLIO_STEP, [MON])
        decision = decide(week)
        assert decision.reasons == (f"{FRI}: run by hand is under way",)
        assert decision.is_pending
        silence(week, "by hand", "1 hour")
        assert bounds(decide(week)) == (FRI, FRI)

    def test_a_run_of_the_same_inputs_that_was_killed_is_reported(self, week: Database, wanted: GateRange) -> None:
        step(week, "r1", PORTFOLIO_STEP, [FRI], wanted.input_hash)
        assert decide(week).is_pending
        silence(week, "r1", "1 hour")
        assert decide(week).failed_run == "r1"
        assert "r1 has given no sign of life since" in decide(week).reasons[0]

    def test_snapshots_published_meanwhile_are_other_inputs(self, week: Database, wanted: GateRange) -> None:
        with week.bulk() as transaction:
            items = [Publication(MON, ("portfolio_snapshots",), rows_written=1, coverage=None, counts={})]
            record_publications(transaction, next_generation(transaction), "portfolio", items, run_id="by hand")
        chosen = decide(week).range
        assert chosen is not None
        assert chosen.input_hash != wanted.input_hash


def test_the_state_is_of_one_moment(week: Database) -> None:
    """A publication and its consumption that commit between two readings are seen both or not at all."""
    other = Database(week.url)

    def meanwhile(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM snapshot_inputs" in statement and not seen:
            seen.append(statement)
            consume(other, {THU: publish(other, THU)})

    seen: list[str] = []
    sa.event.listen(week.engine, "before_cursor_execute", meanwhile)
    try:
        state = read_gate_state(week, now=FRIDAY_NIGHT)
    finally:
        sa.event.remove(week.engine, "before_cursor_execute", meanwhile)
        other.close()
    assert seen
    assert state.consumed[THU] == state.symbol_generations[THU]


def test_ages_go_by_the_database_whatever_the_clock_of_the_settings(week: Database) -> None:
    state = read_gate_state(week, now=FRIDAY_NIGHT)
    age = datetime.now(UTC) - state.now
    assert abs(age) < timedelta(minutes=5)
    assert state.published_at.keys() == {MON, TUE, WED, THU}
    assert all(abs(state.now - moment) < timedelta(minutes=5) for moment in state.published_at.values())
