"""Lots of every kind in one owner's book, and edits of them as tests make them."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from sigmasight_assets.storage.book_tables import portfolios, private_valuations
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.lots import add_lot, close_lot
from sigmasight_assets.storage.portfolios import (
    NewLot,
    PortfolioRecord,
    StoredLot,
    create_portfolio,
    read_lots,
    require_portfolio,
)
from sigmasight_assets.storage.tables import corporate_actions
from tests.storage.rows import insert

AS_OF = date(2025, 6, 2)
ENTRY, EXIT, LAST = AS_OF + timedelta(2), AS_OF + timedelta(20), AS_OF + timedelta(40)
CONTRACT = "AAPL250620C00150000"
EXPIRY = date(2025, 6, 20)
SHARES = NewLot("AAA", Decimal("10.5"), Decimal("99.5"), ENTRY, notes="mine")
SHORT = NewLot("AAA", Decimal(-9), Decimal("99.5"), ENTRY)
CALL = NewLot(CONTRACT, Decimal(-2), Decimal("3.5"), ENTRY, investment_class="OPTIONS")
HOUSE = NewLot(
    "A house",
    Decimal(3),
    None,
    ENTRY,
    investment_class="PRIVATE",
    market_value=Decimal("1000.00000001"),
    valued_on=ENTRY,
)


def enter_two_books(database: Database) -> tuple[PortfolioRecord, PortfolioRecord]:
    """Two empty portfolios whose snapshots are current."""
    with database.begin() as connection:
        first, second = (
            create_portfolio(connection, user=user, name="Main", equity=Decimal(1000), as_of=AS_OF, lots=[])
            for user in ("ann", "bob")
        )
        connection.execute(sa.update(portfolios).values(stale_from=None))
    return first, second


def hold(database: Database, book: PortfolioRecord, lot: NewLot) -> StoredLot:
    """Store a lot and count the snapshots as current again."""
    with database.begin() as connection:
        stored = add_lot(connection, book.portfolio_id, lot)
        connection.execute(sa.update(portfolios).values(stale_from=None))
    return stored


def close(database: Database, lot: StoredLot, quantity: str | None = None, **changes: Any) -> StoredLot:
    amount = None if quantity is None else Decimal(quantity)
    values = {"exit_date": EXIT, "exit_price": Decimal("120.25"), **changes}
    with database.begin() as connection:
        return close_lot(connection, lot.position_id, quantity=amount, **values)


def stale_from(database: Database, book: PortfolioRecord) -> date | None:
    with database.begin() as connection:
        return require_portfolio(connection, book.public_id).stale_from


def lots(database: Database, book: PortfolioRecord) -> list[StoredLot]:
    with database.begin() as connection:
        return read_lots(connection, book.portfolio_id)


def valuations(database: Database, lot: StoredLot) -> list[tuple[date, Decimal]]:
    columns = private_valuations.c
    query = sa.select(columns.valued_on, columns.market_value).where(columns.position_id == lot.position_id)
    with database.begin() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(columns.valued_on))]


def state_split(database: Database, ex_date: date, ratio: tuple[int, int], **changes: Any) -> None:
    values = {"symbol": "AAA", "kind": "split", "source": "test", "run_id": "r", **changes}
    insert(
        database,
        corporate_actions,
        {**values, "ex_date": ex_date, "ratio_numerator": ratio[0], "ratio_denominator": ratio[1]},
    )
