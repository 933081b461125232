"""Symbols that are not as they should be: who counts as held, refused and asked for."""

from datetime import date
from decimal import Decimal

import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.onboarding import request_onboarding
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.symbol_troubles import (
    read_asked_for,
    read_held_without_price,
    read_open_requests,
    read_refused,
    read_without_data,
)
from tests.orchestration.contents import execute

MON, FRI = date(2025, 7, 21), date(2025, 7, 25)


@pytest.fixture
def held(database: Database) -> Database:
    """AAA is held, BBB was, CCC is a name of something private, DDD is only tracked, EEE is bought next week."""
    for symbol in ("AAA", "BBB", "CCC", "DDD", "EEE"):
        execute(
            database,
            "INSERT INTO symbol_universe (symbol, name, asset_type, status) "
            "VALUES (:symbol, 'a name', 'equity', 'active')",
            symbol=symbol,
        )
    lots = [
        NewLot("AAA", Decimal(1), Decimal(10), MON),
        NewLot("BBB", Decimal(1), Decimal(10), MON, Decimal(11), MON),
        NewLot("CCC", Decimal(1), Decimal(10), MON, investment_class="PRIVATE"),
        NewLot("EEE", Decimal(1), Decimal(10), date(2025, 7, 28)),
    ]
    with database.begin() as connection:
        create_portfolio(connection, user="ann", name="main", equity=Decimal(1), as_of=MON, lots=lots)
    return database


def without_price(database: Database, session: date = FRI) -> list[str]:
    with database.begin() as connection:
        return [item.symbol for item in read_held_without_price(connection, session)]


def test_only_open_lots_of_the_market_need_a_price(held: Database) -> None:
    assert without_price(held) == ["AAA"]
    assert without_price(held, date(2025, 7, 28)) == ["AAA", "EEE"]
    execute(
        held,
        "INSERT INTO symbol_prices_daily (symbol, price_date, open_price, high_price, low_price, close_price, "
        "adj_close_price, volume, source) VALUES ('AAA', :day, 1, 1, 1, 1, 1, 1, 'test')",
        day=FRI,
    )
    assert without_price(held) == []
    execute(held, "UPDATE symbol_universe SET status = 'error' WHERE symbol = 'EEE'")
    assert without_price(held, date(2025, 7, 28)) == ["AAA"]


def test_symbols_without_data_tell_whether_they_are_held(held: Database) -> None:
    execute(held, "UPDATE symbol_universe SET status = 'error', status_reason = 'unknown' WHERE symbol <> 'BBB'")
    with held.begin() as connection:
        found = read_without_data(connection)
    assert [(item.symbol, item.is_held, item.reason) for item in found] == [
        ("AAA", True, "unknown"),
        ("CCC", False, "unknown"),
        ("DDD", False, "unknown"),
        ("EEE", True, "unknown"),
    ]


def finish(database: Database, status: str) -> None:
    execute(
        database,
        "UPDATE symbol_onboarding_queue SET status = :status, finished_at = now(), error = 'no', attempts = 3 "
        "WHERE status = 'pending'",
        status=status,
    )


def refused(database: Database) -> list[str]:
    with database.begin() as connection:
        return [item.symbol for item in read_refused(connection)]


def test_the_newest_request_counts_while_the_symbol_is_wanted(held: Database) -> None:
    with held.begin() as connection:
        request_onboarding(connection, ["AAA", "NEW"], requested_by="ann", priority=1)
        request_onboarding(connection, ["DDD"], requested_by="ann", priority=2)
        assert read_asked_for(connection) == {"AAA", "DDD", "NEW"}
        assert [item.symbol for item in read_open_requests(connection)] == ["DDD", "AAA", "NEW"]
    assert refused(held) == []
    finish(held, "failed")
    # Nobody holds or tracks the other one.
    assert refused(held) == ["AAA", "DDD"]
    execute(held, "UPDATE symbol_universe SET first_trade_date = :day WHERE symbol = 'DDD'", day=MON)
    assert refused(held) == ["AAA"]
    with held.begin() as connection:
        request_onboarding(connection, ["AAA"], requested_by="ann")
    assert refused(held) == []
    finish(held, "completed")
    assert refused(held) == []
    with held.begin() as connection:
        assert (read_asked_for(connection), read_open_requests(connection)) == (frozenset(), [])
