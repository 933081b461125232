"""Tests of the onboarding queue as those see it who ask: one open request a symbol, by whom, and what became of it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.lots import add_lot, close_lot
from sigmasight_assets.storage.onboarding import (
    OWNERS_PRIORITY,
    OnboardingRequest,
    count_open_requests,
    read_newest_requests,
    read_open_held_requests,
    read_requests,
    request_pending,
    requeue,
)
from sigmasight_assets.storage.portfolios import NewLot, PortfolioRecord, create_portfolio
from sigmasight_assets.storage.tables import symbol_universe
from tests.storage.lot_edits import AS_OF, ENTRY, EXIT
from tests.storage.onboarding_queue import ask, claimed, failed, let_pass, publish_a_session, requests, statuses

AT = datetime(2025, 6, 2, tzinfo=UTC)


def track(database: Database, symbol: str, status: str) -> None:
    row = {"symbol": symbol, "name": symbol, "asset_type": "equity", "status": status}
    with database.begin() as connection:
        connection.execute(sa.insert(symbol_universe).values(row))


def lot(symbol: str, *, held_as: str = "PUBLIC", **columns: Any) -> NewLot:
    return NewLot(symbol, Decimal(5), Decimal(10), ENTRY, investment_class=held_as, **columns)


def own(database: Database, *lots: NewLot, user: str = "ann") -> PortfolioRecord:
    with database.begin() as connection:
        return create_portfolio(connection, user=user, name="Main", equity=Decimal(900), as_of=AS_OF, lots=lots)


def test_an_open_request_is_kept_with_the_larger_priority(database: Database) -> None:
    ask(database, "AAA", "AAA", "BBB", priority=5)
    first = requests(database)
    ask(database, "AAA", priority=7)
    ask(database, "BBB", priority=3)
    ask(database)
    assert requests(database) == {"AAA": replace(first["AAA"], priority=7), "BBB": first["BBB"]}
    made = first["AAA"]
    assert (made.status, made.attempts, made.requested_by, made.error) == ("pending", 0, "a test", None)
    assert made.requested_at.tzinfo is not None
    assert made.not_before <= made.requested_at


def test_requests_of_many_at_once_make_one(database: Database) -> None:
    symbols = [f"S{number}" for number in range(30)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda turn: ask(database, *(symbols if turn % 2 else reversed(symbols))), range(8)))
    with database.begin() as connection:
        assert sorted(item.symbol for item in read_requests(connection)) == sorted(symbols)


def test_whoever_was_given_up_can_be_asked_for_again(database: Database) -> None:
    ask(database, "AAA")
    claimed(database, run_id="r1")
    failed(database, "r1", is_final=True, AAA="no such ticker")
    ask(database, "AAA")
    with database.begin() as connection:
        newest, oldest = read_requests(connection)
        assert [item.status for item in (newest, oldest)] == ["pending", "failed"]
        assert read_newest_requests(connection, ["AAA", "ELSE"]) == {"AAA": newest}
        assert read_requests(connection, limit=1) == [newest]
        assert count_open_requests(connection) == 1


def test_requeue_ends_the_pause_or_makes_another_request(database: Database) -> None:
    ask(database, "AAA", "BUSY")
    claimed(database, run_id="r1")
    failed(database, "r1", AAA="vendor is away")
    assert claimed(database, run_id="r2") == []
    for symbol in ("AAA", "BUSY", "NEW"):
        with database.begin() as connection:
            assert requeue(connection, symbol, requested_by="root").symbol == symbol
    assert statuses(database) == {"AAA": "pending", "BUSY": "processing", "NEW": "pending"}
    found = requests(database)
    assert (found["AAA"].attempts, found["AAA"].error, found["AAA"].requested_by) == (1, "vendor is away", "a test")
    assert (found["NEW"].priority, found["NEW"].requested_by) == (OWNERS_PRIORITY, "root")
    assert {item.symbol for item in claimed(database, run_id="r2")} == {"AAA", "NEW"}


def test_a_portfolio_asks_for_what_nobody_tracks(database: Database) -> None:
    publish_a_session(database)
    for symbol, status in (("OLD", "active"), ("WAIT", "pending"), ("BAD", "error"), ("GONE", "delisted")):
        track(database, symbol, status)
    sold: dict[str, Any] = {"exit_price": Decimal(11), "exit_date": EXIT}
    never_held: dict[str, Any] = {"exit_price": Decimal(11), "exit_date": ENTRY}
    symbols = [lot(symbol) for symbol in ("OLD", "WAIT", "BAD", "GONE", "NEW", "NEW")]
    call = lot("NEW250718C00100000", held_as="OPTIONS")
    house = NewLot(
        "House", Decimal(1), None, ENTRY, investment_class="PRIVATE", market_value=Decimal(1), valued_on=ENTRY
    )
    own(database, *symbols, call, house, lot("SOLD", **sold), lot("NEVER", **never_held))
    found = requests(database)
    assert set(found) == {"NEW", "NEW250718C00100000", "SOLD", "WAIT"}
    assert {(item.priority, item.requested_by) for item in found.values()} == {(OWNERS_PRIORITY, "owner ann")}


def test_a_lot_that_is_added_asks_too_and_a_part_that_is_sold_does_not_again(database: Database) -> None:
    publish_a_session(database)
    record = own(database)
    with database.begin() as connection:
        added = add_lot(connection, record.portfolio_id, lot("NEW"))
    assert statuses(database) == {"NEW": "pending"}
    with database.begin() as connection:
        close_lot(connection, added.position_id, exit_date=EXIT, exit_price=Decimal(1), quantity=Decimal(2))
    with database.begin() as connection:
        assert len(read_requests(connection)) == 1


def test_an_import_that_is_rolled_back_asks_for_nothing(database: Database) -> None:
    publish_a_session(database)
    with pytest.raises(ZeroDivisionError), database.begin() as connection:
        create_portfolio(
            connection, user="ann", name="Main", equity=Decimal(900), as_of=AS_OF, lots=[lot("NEW")]
        ).portfolio_id / 0
    assert requests(database) == {}


def test_before_the_first_publication_nobody_is_asked_for(database: Database) -> None:
    track(database, "WAIT", "pending")
    own(database, lot("NEW"), lot("WAIT"))
    with database.begin() as connection:
        assert request_pending(connection, ["WAIT"], requested_by="root") == []
    assert requests(database) == {}


def test_tracked_symbols_without_a_price_are_asked_for_by_name(database: Database) -> None:
    publish_a_session(database)
    for symbol, status in (("OLD", "active"), ("WAIT", "pending"), ("ELSE", "pending"), ("BAD", "error")):
        track(database, symbol, status)
    with database.begin() as connection:
        assert request_pending(connection, ["WAIT", "OLD", "BAD", "UNTRACKED"], requested_by="root") == ["WAIT"]
    (made,) = requests(database).values()
    assert (made.symbol, made.priority, made.requested_by) == ("WAIT", 0, "root")


def test_open_requests_of_held_symbols(database: Database) -> None:
    sold: dict[str, Any] = {"exit_price": Decimal(11), "exit_date": EXIT}
    own(database, lot("HELD"), lot("DONE"), lot("SOLD", **sold), lot("BUSY250718C00100000", held_as="OPTIONS"))
    ask(database, "DONE")
    claimed(database, run_id="r1")
    failed(database, "r1", is_final=True, DONE="no such ticker")
    ask(database, "BUSY250718C00100000")
    claimed(database, run_id="r2")
    ask(database, "HELD", "SOLD", "ELSE")
    with database.begin() as connection:
        found = read_open_held_requests(connection)
    asked = requests(database)
    assert found == {name: asked[name].requested_at for name in ("BUSY250718C00100000", "HELD")}


def test_times_are_those_of_the_database(database: Database) -> None:
    ask(database, "AAA")
    with database.begin() as connection:
        now = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    assert timedelta(0) <= now - requests(database)["AAA"].requested_at < timedelta(minutes=1)
    let_pass(database, 60)
    assert requests(database)["AAA"].not_before < requests(database)["AAA"].requested_at


@pytest.mark.parametrize(
    ("status", "attempts", "error", "sentence"),
    [
        ("pending", 0, None, "waiting to be onboarded"),
        ("pending", 1, "the vendor is away", "waiting to be onboarded, attempt 2 of 3: the vendor is away"),
        ("processing", 1, None, "being onboarded"),
        ("processing", 3, "the vendor is away", "being onboarded, attempt 3 of 3: the vendor is away"),
        ("failed", 3, "no such ticker", "no such ticker"),
        ("completed", 1, None, "onboarded"),
    ],
)
def test_what_people_are_told(status: str, attempts: int, error: str | None, sentence: str) -> None:
    request = OnboardingRequest(
        request_id=1,
        symbol="AAA",
        status=status,
        priority=0,
        attempts=attempts,
        requested_by="ann",
        requested_at=AT,
        not_before=AT,
        run_id=None,
        started_at=None,
        finished_at=None,
        generation=None,
        error=error,
    )
    assert request.sentence == sentence
