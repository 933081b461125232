"""Each kind of failure on a real database: it is told while its cause is there, and gone with it."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.operations.bars import accept_bar
from sigmasight_assets.operations.failure_state import read_failures
from sigmasight_assets.operations.failures import Failure
from sigmasight_assets.operations.gate import plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.storage.alerts import raise_alert, record_delivery, record_failed_delivery
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.lot_terms import NAMED_OFFENDERS
from sigmasight_assets.storage.operations import Verdict
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from tests.operations.ledger_rows import consume, decide, judge, publish, run_step
from tests.orchestration.contents import execute

MON, TUE, WED, THU, FRI = WEEK = tuple(date(2025, 7, day) for day in range(21, 26))
EVENING = datetime(2025, 7, 25, 22, 0, tzinfo=NEW_YORK)
PAUSE = timedelta(minutes=30)
CONTRACT = "AAA250815C00100000"


def failures(database: Database, clock: datetime = EVENING) -> list[Failure]:
    return read_failures(database, clock=clock, pause=PAUSE)


def only(database: Database, kind: str, clock: datetime = EVENING) -> Failure:
    (found,) = failures(database, clock)
    assert found.kind == kind
    return found


@pytest.fixture
def week(database: Database) -> Database:
    """Every session of the week published, without portfolios."""
    publish(database, *WEEK)
    return database


def track(database: Database, symbol: str, **columns: Any) -> None:
    """Put a symbol into the universe, or change it."""
    row = {"symbol": symbol, "name": symbol, "asset_type": "equity", "status": "active", **columns}
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    changes = ", ".join(f"{name} = excluded.{name}" for name in row)
    execute(
        database,
        f"INSERT INTO symbol_universe ({names}) VALUES ({values}) ON CONFLICT (symbol) DO UPDATE SET {changes}",
        **row,
    )


def hold(database: Database, symbol: str, *, investment_class: str = "PUBLIC", entry: date = MON) -> None:
    """A portfolio of one lot, whose snapshots are not waited for."""
    lot = NewLot(symbol, Decimal(1), Decimal(10), entry, investment_class=investment_class)
    with database.begin() as connection:
        create_portfolio(
            connection, user="ann", name=f"of {symbol}", equity=Decimal(1000), as_of=date(2030, 1, 2), lots=[lot]
        )
    execute(database, "DELETE FROM symbol_onboarding_queue")


def price(database: Database, symbol: str, day: date, close: int = 1) -> None:
    execute(
        database,
        "INSERT INTO symbol_prices_daily (symbol, price_date, open_price, high_price, low_price, close_price, "
        "adj_close_price, volume, source) VALUES (:symbol, :day, :close, :close, :close, :close, :close, 1, 'test')",
        symbol=symbol,
        day=day,
        close=close,
    )
    execute(
        database, "UPDATE symbol_universe SET last_price_date = :day WHERE symbol = :symbol", symbol=symbol, day=day
    )


def mark(database: Database, symbol: str, *, minutes_ago: int) -> None:
    execute(
        database,
        "INSERT INTO figure_invalidations (symbol, first_session, last_session, has_new_returns, run_id, marked_at) "
        "VALUES (:symbol, :day, :day, true, 'r', now() - make_interval(mins => :ago))",
        symbol=symbol,
        day=MON,
        ago=minutes_ago,
    )


def request(database: Database, symbol: str, status: str, error: str | None = None) -> None:
    ended = "now()" if status in ("failed", "completed") else "NULL"
    execute(
        database,
        "INSERT INTO symbol_onboarding_queue (symbol, status, attempts, requested_by, finished_at, error, run_id) "
        f"VALUES (:symbol, :status, 3, 'owner ann', {ended}, :error, 'r9')",
        symbol=symbol,
        status=status,
        error=error,
    )


def test_nothing_is_failed_on_an_empty_database_or_a_good_night(database: Database) -> None:
    assert failures(database) == []
    publish(database, *WEEK)
    run_step(database, "night", FRI, counts={"sessions_published": 1})
    assert failures(database) == []


def test_a_session_is_failed_from_its_first_failed_attempt_until_it_is_published(database: Database) -> None:
    publish(database, *WEEK[:4])
    assert failures(database) == []
    judge(database, Verdict("coverage", FRI, passed=False, detail="10 of 500: AAA"), run_id="r1")
    judge(database, Verdict("market_beta_stable", FRI, passed=False, detail="moved by 0.3"), run_id="r1")
    run_step(database, "r1", FRI, error="not published", ended_ago=10)
    found = only(database, "session_not_published")
    assert (found.severity, found.subject, found.session) == ("critical", "2025-07-25", FRI)
    assert (found.asset, found.check) == ("symbol_daily_metrics, market_beta", "coverage, market_beta_stable")
    assert "coverage: 10 of 500: AAA" in found.detail
    assert (found.run_id, found.attempts) == ("r1", 1)
    assert found.next_attempt is not None
    assert found.next_step.startswith("next attempt at 20")

    run_step(database, "r2", FRI, ended_ago=None)
    assert only(database, "session_not_published").next_step.startswith("run r2 is under way")
    publish(database, FRI)
    assert failures(database) == []


def test_a_waived_or_closed_session_is_not_failed(database: Database) -> None:
    publish(database, *WEEK[:3])
    run_step(database, "r1", THU, FRI, kind="symbol_prices", error="no answer", ended_ago=10)
    assert [(item.session, item.asset, item.check) for item in failures(database)] == [
        (THU, "symbol_prices", None),
        (FRI, "symbol_prices", None),
    ]
    decide(database, THU, "waived")
    assert only(database, "session_not_published").session == FRI
    decide(database, FRI, "closed")
    assert failures(database) == []


def test_a_session_nobody_tried_is_failed_once_it_is_late(database: Database) -> None:
    publish(database, *WEEK[:4])
    found = only(database, "session_not_published", EVENING.replace(hour=23))
    assert (found.asset, found.attempts, found.run_id) == (None, 0, None)
    assert "the symbol layer has not run for it" in found.detail
    assert found.next_step.startswith("the sensor late_sessions starts a run within a minute")
    missed = only(database, "session_not_published", EVENING + timedelta(hours=8))
    assert missed.next_step.startswith("the next night takes it up, or `sigmasight backfill`")
    publish(database, FRI)
    assert failures(database, EVENING + timedelta(hours=8)) == []


def test_a_portfolio_run_is_failed_until_one_for_its_inputs_succeeds(week: Database) -> None:
    with week.begin() as connection:
        create_portfolio(connection, user="ann", name="main", equity=Decimal(1000), as_of=FRI, lots=[])
    chosen = plan(read_gate_state(week, now=EVENING)).range
    assert chosen is not None
    step = {"kind": "portfolio_products", "input_hash": chosen.input_hash}
    run_step(week, "p1", FRI, error="ledger_identity: off by 1", ended_ago=5, **step)  # type: ignore[arg-type]
    found = only(week, "portfolio_run_failed")
    assert (found.severity, found.subject, found.run_id) == ("critical", "2025-07-25", "p1")
    assert found.detail == "portfolio_products: ledger_identity: off by 1"
    consume(week, 1, FRI)
    execute(week, "UPDATE portfolios SET stale_from = NULL")
    assert failures(week) == []


def test_portfolios_that_are_left_out_are_warned_of_with_their_owners(week: Database) -> None:
    """The first so many, those for longest before others, and how many more."""
    with week.begin() as connection:
        opened = [
            create_portfolio(connection, user=f"u{each}", name="Main", equity=Decimal(1), as_of=MON, lots=[])
            for each in range(NAMED_OFFENDERS + 2)
        ]
    consume(week, 5, *WEEK)
    execute(week, "UPDATE portfolios SET stale_from = NULL")
    assert failures(week) == []
    execute(
        week, "UPDATE portfolios SET left_out_from = :day WHERE portfolio_id = :id", day=TUE, id=opened[5].portfolio_id
    )
    found = only(week, "portfolio_left_out")
    assert (found.severity, found.subject, found.session) == ("warning", f"portfolio {opened[5].public_id}", TUE)
    assert found.detail.startswith("'Main' of u5 is without snapshots from 2025-07-22 on: its amounts are too large")
    execute(week, "UPDATE portfolios SET left_out_from = :day WHERE left_out_from IS NULL", day=WED)
    named = failures(week)
    assert len(named) == NAMED_OFFENDERS + 1
    assert named[0] == found
    assert (named[-1].severity, named[-1].subject, named[-1].session) == ("warning", "2 more portfolios", None)


def test_marks_are_failed_when_their_run_failed_or_they_wait_too_long(week: Database) -> None:
    mark(week, "AAA", minutes_ago=5)
    assert failures(week) == []
    run_step(week, "r1", FRI, error="betas_finite: AAA", ended_ago=1)
    found = only(week, "marks_not_settled")
    assert (found.severity, found.symbol, found.run_id) == ("critical", "AAA", "r1")
    assert found.detail == "published figures of AAA await recomputation: betas_finite: AAA"
    run_step(week, "r2", FRI, ended_ago=0)
    assert failures(week) == []
    execute(week, "DELETE FROM figure_invalidations")
    mark(week, "BBB", minutes_ago=31)
    mark(week, "CCC", minutes_ago=32)
    assert only(week, "marks_not_settled").subject == "2 symbols"
    execute(week, "DELETE FROM figure_invalidations")
    assert failures(week) == []


def test_a_symbol_is_failed_while_the_market_has_nothing_of_it(week: Database) -> None:
    track(week, "ZZZ", status="error", status_reason="unknown ticker")
    found = only(week, "symbol_without_data")
    assert (found.severity, found.symbol, found.detail) == ("warning", "ZZZ", "unknown ticker")
    hold(week, "ZZZ")
    assert only(week, "symbol_without_data").detail == "unknown ticker, and it is held"
    track(week, "ZZZ", first_trade_date=MON, status_reason=None)
    price(week, "ZZZ", FRI)
    assert failures(week) == []


def test_a_held_symbol_is_failed_while_it_has_no_price_at_the_newest_session(week: Database) -> None:
    track(week, "AAA")
    price(week, "AAA", THU)
    assert failures(week) == []
    hold(week, "AAA")
    found = only(week, "held_without_price")
    assert (found.symbol, found.session) == ("AAA", FRI)
    assert found.detail == "no price at 2025-07-25, the last is of 2025-07-24"
    track(week, "AAA", status="delisted", status_reason="merged")
    assert only(week, "held_without_price").detail.endswith("; delisted: merged")
    assert "cash-out" in only(week, "held_without_price").next_step
    execute(week, "UPDATE positions SET exit_date = :day, exit_price = 9", day=FRI)
    assert failures(week) == []
    execute(week, "UPDATE positions SET exit_date = NULL, exit_price = NULL")
    price(week, "AAA", FRI)
    assert failures(week) == []


def test_private_lots_and_lots_of_tomorrow_need_no_price(week: Database) -> None:
    track(week, "AAA")
    with week.begin() as connection:
        lots = [
            NewLot("AAA", Decimal(1), Decimal(10), date(2025, 7, 28)),
            NewLot("AAA", Decimal(1), Decimal(10), MON, investment_class="PRIVATE"),
        ]
        create_portfolio(connection, user="ann", name="main", equity=Decimal(1), as_of=date(2030, 1, 2), lots=lots)
    execute(week, "DELETE FROM symbol_onboarding_queue")
    assert failures(week) == []


def test_an_option_may_go_without_a_trade_for_five_sessions(week: Database) -> None:
    track(week, CONTRACT, asset_type="option")
    hold(week, CONTRACT, investment_class="OPTIONS")
    price(week, CONTRACT, date(2025, 7, 17))
    assert only(week, "held_without_price").symbol == CONTRACT
    price(week, CONTRACT, date(2025, 7, 18))
    assert failures(week) == []


def test_an_expired_option_needs_no_price(week: Database) -> None:
    for contract, session in (("AAA250725C00100000", FRI), ("AAA250728C00100000", date(2025, 7, 28))):
        track(week, contract, asset_type="option")
        hold(week, contract, investment_class="OPTIONS", entry=session - timedelta(days=30))
    assert [item.symbol for item in failures(week)] == ["AAA250728C00100000"]


def test_an_onboarding_is_failed_until_the_symbol_is_had_or_not_wanted(week: Database) -> None:
    hold(week, "NEW")
    request(week, "NEW", "failed", "the market does not know NEW")
    found = only(week, "onboarding_failed")
    assert (found.symbol, found.detail, found.attempts) == ("NEW", "the market does not know NEW", 3)
    # Told of once, though the universe knows the symbol too.
    track(week, "NEW", status="error", status_reason="the market does not know NEW")
    assert only(week, "onboarding_failed").symbol == "NEW"
    request(week, "NEW", "pending")
    assert only(week, "symbol_without_data").symbol == "NEW"
    execute(week, "DELETE FROM symbol_universe")
    execute(week, "DELETE FROM symbol_onboarding_queue WHERE status = 'pending'")
    assert only(week, "onboarding_failed").symbol == "NEW"
    execute(week, "DELETE FROM positions")
    assert failures(week) == []


def test_a_symbol_that_is_being_onboarded_is_not_failed(week: Database) -> None:
    track(week, "NEW", status="pending")
    hold(week, "NEW")
    assert only(week, "held_without_price").symbol == "NEW"
    request(week, "NEW", "pending")
    assert failures(week) == []


def test_a_bar_is_failed_until_somebody_or_the_next_session_decides(week: Database) -> None:
    track(week, "AAA", first_trade_date=MON)
    price(week, "AAA", THU)
    price(week, "AAA", FRI, close=3)
    found = only(week, "suspect_bar")
    assert (found.symbol, found.session, found.subject) == ("AAA", FRI, "AAA 2025-07-25")
    assert found.detail == "close 3.0000 after 1.0000 at 2025-07-24 (+200.0 %), without a corporate action"
    assert found.next_step.startswith("`sigmasight bars accept AAA 2025-07-25 --reason ...`")
    price(week, "AAA", date(2025, 7, 28), close=3)
    assert failures(week) == []
    execute(week, "DELETE FROM symbol_prices_daily WHERE price_date > :day", day=FRI)
    execute(week, "UPDATE symbol_universe SET last_price_date = :day", day=FRI)
    assert only(week, "suspect_bar").symbol == "AAA"
    accept_bar(week, "AAA", FRI, actor="ann", reason="a takeover bid")
    execute(week, "DELETE FROM figure_invalidations")
    assert failures(week) == []


def test_an_alert_is_failed_while_the_webhook_refuses_it(week: Database) -> None:
    with week.begin() as connection:
        raise_alert(connection, key="late:2025-07-25", severity="warning", payload={})
    assert failures(week) == []
    with week.begin() as connection:
        record_failed_delivery(connection, "late:2025-07-25", error="HTTP 500", pause=timedelta(minutes=1))
    found = only(week, "alert_not_delivered")
    assert (found.subject, found.detail, found.attempts) == ("late:2025-07-25", "HTTP 500", 1)
    with week.begin() as connection:
        record_delivery(connection, "late:2025-07-25")
    assert failures(week) == []


def test_the_most_urgent_come_first(database: Database) -> None:
    publish(database, *WEEK[:4])
    track(database, "ZZZ", status="error", status_reason="unknown ticker")
    run_step(database, "r1", FRI, error="no answer", ended_ago=10)
    assert [item.severity for item in failures(database)] == ["critical", "warning"]
