"""What the gate decides on, read from a real database, and the decisions that follow from it."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from sigmasight_assets.operations.gate import plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.sessions import NEW_YORK, SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict, finish_batch, record_verdicts, start_batch
from sigmasight_assets.storage.portfolios import add_capital_flow, create_portfolio, mark_edited
from sigmasight_assets.storage.publications import (
    SYMBOL_PRODUCTS,
    Publication,
    lock_layer,
    next_generation,
    record_publications,
)
from sigmasight_assets.storage.snapshots import record_consumed
from tests.orchestration.contents import execute

MON, TUE, WED, THU, FRI = (date(2025, 7, day) for day in range(21, 26))
FRIDAY_NIGHT = datetime(2025, 7, 25, 21, 0, tzinfo=NEW_YORK)


def publish(database: Database, day: date, products: tuple[str, ...] = SYMBOL_PRODUCTS) -> int:
    with database.bulk() as transaction:
        lock_layer(transaction, "symbol")
        generation = next_generation(transaction)
        rows = [Publication(day, products, rows_written=1, coverage=1.0, counts={})]
        record_publications(transaction, generation, "symbol", rows, run_id="run")
    return generation


def consume(database: Database, generations: dict[date, int]) -> None:
    with database.bulk() as transaction:
        record_consumed(transaction, generations, run_id="run")


def add_portfolio(database: Database, name: str, as_of: date) -> int:
    with database.begin() as connection:
        stored = create_portfolio(connection, user="ann", name=name, equity=Decimal(1000), as_of=as_of, lots=[])
    return stored.portfolio_id


def settle(database: Database) -> None:
    execute(database, "UPDATE portfolios SET stale_from = NULL")


def test_empty_database(database: Database, calendar: SessionCalendar) -> None:
    publish(database, MON)
    state = read_gate_state(database, calendar, now=FRIDAY_NIGHT)
    assert list(state.sessions) == []
    assert plan(state).reasons == ("no portfolio needs a snapshot",)


def test_sessions_from_the_earliest_portfolio_to_the_newest_complete_one(
    database: Database, calendar: SessionCalendar
) -> None:
    add_portfolio(database, "later", WED)
    add_portfolio(database, "earlier", TUE)
    assert read_gate_state(database, calendar, now=FRIDAY_NIGHT).sessions == [TUE, WED, THU, FRI]
    before_nine = FRIDAY_NIGHT.replace(hour=20, minute=59).astimezone(UTC)
    assert read_gate_state(database, calendar, now=before_nine).sessions == [TUE, WED, THU]


def test_a_session_counts_once_all_six_products_are_published(database: Database, calendar: SessionCalendar) -> None:
    add_portfolio(database, "main", MON)
    whole = publish(database, MON)
    publish(database, TUE, SYMBOL_PRODUCTS[:5])
    assert read_gate_state(database, calendar, now=FRIDAY_NIGHT).symbol_generations == {MON: whole}
    last = publish(database, TUE, SYMBOL_PRODUCTS[5:])
    state = read_gate_state(database, calendar, now=FRIDAY_NIGHT)
    assert state.symbol_generations == {MON: whole, TUE: last}


def test_a_later_publication_of_one_product_is_a_new_generation(database: Database, calendar: SessionCalendar) -> None:
    add_portfolio(database, "main", MON)
    settle(database)
    consume(database, {day: publish(database, day) for day in (MON, TUE, WED, THU, FRI)})
    assert plan(read_gate_state(database, calendar, now=FRIDAY_NIGHT)).range is None
    corrected = publish(database, TUE, ("market_beta",))
    state = read_gate_state(database, calendar, now=FRIDAY_NIGHT)
    assert state.symbol_generations[TUE] == corrected
    chosen = plan(state).range
    assert chosen is not None
    assert (chosen.first, chosen.last) == (TUE, FRI)


def test_edited_books_are_listed_with_version_and_date(database: Database, calendar: SessionCalendar) -> None:
    first, second, third = (add_portfolio(database, name, MON) for name in ("first", "second", "third"))
    settle(database)
    with database.begin() as connection:
        add_capital_flow(connection, second, flow_date=THU, amount=Decimal(50))
        mark_edited(connection, second, edited_from=WED)
        mark_edited(connection, third, edited_from=date(2025, 1, 2))
    state = read_gate_state(database, calendar, now=FRIDAY_NIGHT)
    assert sorted(state.stale_books) == [(second, 3, WED), (third, 2, MON)]
    assert first not in {book for book, _, _ in state.stale_books}


def test_the_newest_verdict_of_each_check_is_the_reason(database: Database, calendar: SessionCalendar) -> None:
    add_portfolio(database, "main", MON)
    publish(database, MON)

    def judge(run_id: str, *verdicts: Verdict) -> None:
        with database.begin() as connection:
            record_verdicts(connection, verdicts, layer="symbol", run_id=run_id)

    judge(
        "first",
        Verdict("coverage", TUE, passed=False, detail="10 of 500"),
        Verdict("factor_etfs_priced", TUE, passed=False, detail="no bar of SPY"),
        Verdict("coverage", WED, passed=False, detail="1 of 500"),
    )
    judge("second", Verdict("coverage", TUE, passed=True, detail="500 of 500"))
    judge("third", Verdict("curious", TUE, passed=False, detail="noted only", is_blocking=False))
    with database.begin() as connection:
        other = [Verdict("ledger_identity", TUE, passed=False, detail="of the other layer")]
        record_verdicts(connection, other, layer="portfolio", run_id="fourth")
    state = read_gate_state(database, calendar, now=FRIDAY_NIGHT)
    assert state.failed_checks == {TUE: "factor_etfs_priced: no bar of SPY", WED: "coverage: 1 of 500"}
    assert "2025-07-22 waits" in plan(state).reasons[0]
    assert "no bar of SPY" in plan(state).reasons[0]


@pytest.mark.parametrize("outcomes", [("failed",), ("failed", "succeeded"), ("succeeded", "failed"), ("running",)])
def test_the_newest_run_of_the_same_inputs_counts(
    database: Database, calendar: SessionCalendar, outcomes: tuple[str, ...]
) -> None:
    for position, outcome in enumerate(outcomes):
        run_id = f"run-{position}"
        with database.begin() as connection:
            start_batch(connection, run_id=run_id, kind="portfolio_products", sessions=[MON], input_hash="abc")
        if outcome != "running":
            with database.begin() as connection:
                error = "broken" if outcome == "failed" else None
                finish_batch(connection, run_id=run_id, kind="portfolio_products", counts={}, error=error)
    with database.begin() as connection:
        start_batch(connection, run_id="by hand", kind="portfolio_products", sessions=[MON])
        finish_batch(connection, run_id="by hand", kind="portfolio_products", counts={}, error="broken")
    failed = read_gate_state(database, calendar, now=FRIDAY_NIGHT).failed_runs
    assert failed == ({"abc": f"run-{len(outcomes) - 1}"} if outcomes[-1] == "failed" else {})


def test_reported_failure_of_a_gated_run(database: Database, calendar: SessionCalendar) -> None:
    add_portfolio(database, "main", MON)
    publish(database, MON)
    chosen = plan(read_gate_state(database, calendar, now=FRIDAY_NIGHT)).range
    assert chosen is not None
    with database.begin() as connection:
        start_batch(connection, run_id="r1", kind="portfolio_products", sessions=[MON], input_hash=chosen.input_hash)
        finish_batch(connection, run_id="r1", kind="portfolio_products", counts={}, error="the disk is full")
    decision = plan(read_gate_state(database, calendar, now=FRIDAY_NIGHT))
    assert decision.range is None
    assert "run r1 failed for these same inputs" in decision.reasons[0]
