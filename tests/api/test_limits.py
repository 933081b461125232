"""Tests of how much an owner may store: at each limit, and one beyond."""

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from sigmasight_api.books import Book
from sigmasight_api.limits import (
    MAX_FLOWS,
    MAX_PORTFOLIOS,
    MAX_UNPRICED_SHARES,
    require_room_for_flows,
    require_room_for_lots,
    require_room_for_portfolio,
)
from sigmasight_api.owned import read_own_book
from sigmasight_api.view import MarketView
from sigmasight_assets.errors import BookError
from sigmasight_assets.storage.book_tables import capital_flows, portfolios
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import PortfolioRecord
from sigmasight_assets.storage.tables import symbol_daily_metrics
from tests.api.handmade import market, split_units
from tests.api.market import (
    SESSIONS,
    add_lots,
    add_portfolio,
    add_split,
    add_valuation,
    publish,
    random_figures,
)

VIEW = market({"AAA": 1.0}, {"AAA": 10_000_0000}, share_units=split_units((0, "2025-07-30", 5, 1)))
LIMIT = Decimal(50_000_000_000)


@pytest.fixture
def record(database: Database) -> PortfolioRecord:
    return add_portfolio(database, "ann", {})


@pytest.fixture
def connection(database: Database, record: PortfolioRecord) -> Iterator[sa.Connection]:
    assert record.name == "Main"
    with database.begin() as connection:
        yield connection


def book(connection: sa.Connection, record: PortfolioRecord) -> Book:
    return read_own_book(connection, record.user_id, str(record.public_id))


@pytest.mark.parametrize(
    ("lot", "fits"),
    [
        # At 10,000 USD and five shares for one.
        ({"symbol": "AAA", "quantity": 1_000_000}, True),
        ({"symbol": "AAA", "quantity": -1_000_000}, True),
        ({"symbol": "AAA", "quantity": Decimal("1000000.0001")}, False),
        ({"symbol": "AAA", "quantity": 5_000_000, "units_date": SESSIONS[-2]}, True),
        ({"symbol": "AAA", "quantity": -5_000_001, "units_date": SESSIONS[-2]}, False),
        ({"symbol": "AAA", "quantity": 100_000, "entry_price": 500_000}, True),
        ({"symbol": "AAA", "quantity": -100_000, "entry_price": 500_001}, False),
        ({"symbol": "AAA", "quantity": 100_000, "exit_price": 500_001, "exit_date": SESSIONS[2]}, False),
        ({"symbol": "NEW", "quantity": MAX_UNPRICED_SHARES}, True),
        ({"symbol": "NEW", "quantity": -MAX_UNPRICED_SHARES - 1}, False),
        ({"symbol": "NEW", "quantity": 10**9, "exit_price": 1, "exit_date": SESSIONS[0]}, True),
        ({"symbol": "AAA250815C00150000", "investment_class": "OPTIONS", "quantity": 10_000}, True),
        ({"symbol": "AAA250815C00150000", "investment_class": "OPTIONS", "quantity": 10_001}, False),
    ],
    ids=str,
)
def test_a_lot_is_worth_no_more_than_the_ledger_holds(
    database: Database, record: PortfolioRecord, lot: dict[str, Any], *, fits: bool
) -> None:
    add_lots(database, record, lot)
    with database.begin() as connection:
        held = book(connection, record)
        if fits:
            require_room_for_lots(connection, held, lambda _: VIEW)
        else:
            with pytest.raises(BookError, match=r"more than 50,000,000,000 USD|at most 1,000,000 shares"):
                require_room_for_lots(connection, held, lambda _: VIEW)


@pytest.mark.parametrize(
    ("ratio", "lot", "fits"),
    [
        # Twenty shares at the exit for each of the entry.
        ((20, 1), {"quantity": 5, "exit_price": 500_000_000, "exit_date": SESSIONS[-1]}, True),
        ((20, 1), {"quantity": 5, "exit_price": Decimal("500000000.01"), "exit_date": SESSIONS[-1]}, False),
        ((20, 1), {"quantity": 5, "exit_price": 500_000_001, "exit_date": SESSIONS[4]}, True),
        # Ten shares at the entry for each of now.
        ((1, 10), {"quantity": 5, "entry_price": 1_000_000_000, "units_date": SESSIONS[-1]}, True),
        ((1, 10), {"quantity": -5, "entry_price": 1_000_000_001, "units_date": SESSIONS[-1]}, False),
        ((1, 10), {"quantity": 5, "entry_price": 1_000_000_001}, True),
    ],
    ids=str,
)
def test_prices_are_paid_for_the_shares_of_their_day(
    database: Database, record: PortfolioRecord, ratio: tuple[int, int], lot: dict[str, Any], *, fits: bool
) -> None:
    add_split(database, "AAA", SESSIONS[5], ratio, generation=1)
    add_lots(database, record, {"symbol": "AAA", **lot})
    view = market({"AAA": 1.0}, {"AAA": 10_0000}, share_units=split_units((0, str(SESSIONS[5]), *ratio)))
    assert _has_room(database, record, view) is fits


@pytest.mark.parametrize(("highest", "fits"), [("1000", True), ("1000.0001", False)])
def test_snapshots_value_at_earlier_closes_too(
    database: Database, record: PortfolioRecord, highest: str, *, fits: bool
) -> None:
    publish(database, SESSIONS[-1], random_figures(["AAA"], seed=1))
    metrics = symbol_daily_metrics
    with database.begin() as connection:
        connection.execute(sa.update(metrics).values(close_price=1, high_52w=Decimal(highest)))
    add_lots(database, record, {"symbol": "AAA", "quantity": 50_000_000, "entry_price": 1})
    assert _has_room(database, record, market({"AAA": 1.0}, {"AAA": 1_0000})) is fits


def _has_room(database: Database, record: PortfolioRecord, view: MarketView) -> bool:
    with database.begin() as connection, suppress(BookError):
        require_room_for_lots(connection, book(connection, record), lambda _: view)
        return True
    return False


def test_lots_and_valuations_are_added_up(database: Database, record: PortfolioRecord) -> None:
    house = {"symbol": "House", "investment_class": "PRIVATE", "entry_price": None, "quantity": 1}
    _, key = add_lots(database, record, {"symbol": "AAA", "quantity": -500_000}, house)
    add_valuation(database, record, key, SESSIONS[0], "25000000000")
    with database.begin() as connection:
        require_room_for_lots(connection, book(connection, record), lambda _: VIEW)
    add_valuation(database, record, key, SESSIONS[1], "25000000000.00000001")
    with database.begin() as connection, pytest.raises(BookError, match="look for a quantity that is too large"):
        require_room_for_lots(connection, book(connection, record), lambda _: VIEW)


@pytest.mark.parametrize("amount", [LIMIT - 100_000, -(LIMIT - 100_000)])
def test_equity_and_flows_are_added_up(connection: sa.Connection, record: PortfolioRecord, amount: Decimal) -> None:
    values = {"portfolio_id": record.portfolio_id, "flow_date": SESSIONS[1]}
    connection.execute(sa.insert(capital_flows).values(**values, amount=amount))
    require_room_for_flows(connection, book(connection, record))
    connection.execute(sa.insert(capital_flows).values(**values, amount=Decimal("-0.00000001")))
    with pytest.raises(BookError, match="Equity and capital flows would come to more"):
        require_room_for_flows(connection, book(connection, record))


def test_flows_are_counted(connection: sa.Connection, record: PortfolioRecord) -> None:
    rows = [{"portfolio_id": record.portfolio_id, "flow_date": SESSIONS[1], "amount": 1}] * MAX_FLOWS
    connection.execute(sa.insert(capital_flows), rows)
    require_room_for_flows(connection, book(connection, record))
    connection.execute(sa.insert(capital_flows).values(**rows[0]))
    with pytest.raises(BookError, match=r"The portfolio would have 10,001 capital flows; 10,000 are the most"):
        require_room_for_flows(connection, book(connection, record))


def test_portfolios_are_counted(connection: sa.Connection, record: PortfolioRecord) -> None:
    row = {"user_id": record.user_id, "stated_equity": 1, "as_of": SESSIONS[0]}
    connection.execute(sa.insert(portfolios), [{**row, "name": str(place)} for place in range(MAX_PORTFOLIOS - 2)])
    require_room_for_portfolio(connection, record.user_id)
    connection.execute(sa.insert(portfolios).values(**row, name="last"))
    with pytest.raises(BookError, match="There are 1,000 portfolios, which is the most"):
        require_room_for_portfolio(connection, record.user_id)
