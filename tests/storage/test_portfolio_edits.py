"""Tests of edits of whole portfolios and their flows: what is stored, what goes, and what waits for whom."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from threading import Event
from uuid import uuid4

import pytest
import sqlalchemy as sa

from sigmasight_assets.errors import NameTakenError, NotFoundError
from sigmasight_assets.storage.book_tables import portfolios
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import (
    option_expiries,
    portfolio_exposures,
    portfolio_lot_values,
    portfolio_snapshots,
)
from sigmasight_assets.storage.portfolio_edits import (
    delete_flow,
    delete_portfolio,
    read_flows,
    rename_portfolio,
    restate_equity,
    wait_for_snapshots,
)
from sigmasight_assets.storage.portfolios import PortfolioRecord, add_capital_flow, read_portfolios, require_portfolio
from sigmasight_assets.storage.publications import lock_layer
from tests.api.market import snapshot_values
from tests.contents import contents
from tests.storage.lot_edits import AS_OF, CALL, HOUSE, enter_two_books, hold

DAYS = [AS_OF + timedelta(days) for days in (0, 1, 7)]


@pytest.fixture
def books(database: Database) -> tuple[PortfolioRecord, PortfolioRecord]:
    return enter_two_books(database)


def publish(database: Database, book: PortfolioRecord) -> None:
    """A row of everything that is published of a portfolio, at each of the days."""
    key = {"portfolio_id": book.portfolio_id}
    one = ("position_ids", "prices_used", "split_numerators", "split_denominators", "market_values", "daily_pnls")
    settled = {"symbol": "x", "underlying": "x", "underlying_price": 1, "settlement_price": 0, "generation": 1}
    with database.begin() as connection:
        for place, day in enumerate(DAYS):
            dated = {**key, "session": day}
            connection.execute(
                sa.insert(portfolio_snapshots).values(**snapshot_values(Decimal(1)), **dated, generation=1)
            )
            connection.execute(
                sa.insert(portfolio_lot_values).values(**dated, statuses=[1], **{name: [1] for name in one})
            )
            connection.execute(sa.insert(portfolio_exposures).values(**dated, generation=1))
            connection.execute(sa.insert(option_expiries).values(**dated, **settled, position_id=place))


def published(database: Database, book: PortfolioRecord) -> list[list[date]]:
    """The sessions of which each kind of row is there."""
    tables = (portfolio_snapshots, portfolio_lot_values, portfolio_exposures, option_expiries)
    with database.begin() as connection:
        return [
            list(
                connection.execute(
                    sa.select(table.c.session).where(table.c.portfolio_id == book.portfolio_id).order_by("session")
                ).scalars()
            )
            for table in tables
        ]


class TestWholePortfolios:
    def test_deleting_one_leaves_nothing_of_it_and_all_of_others(
        self, database: Database, books: tuple[PortfolioRecord, PortfolioRecord]
    ) -> None:
        first, second = books
        publish(database, second)
        before = contents(database)
        publish(database, first)
        for lot in (CALL, HOUSE):
            hold(database, first, lot)
        with database.begin() as connection:
            add_capital_flow(connection, first.portfolio_id, flow_date=DAYS[1], amount=Decimal(5))
            delete_portfolio(connection, first.portfolio_id)
        name = "portfolios"
        left = [row for row in contents(database) if row[0] != name]
        assert left == [row for row in before if row[0] != name]
        with database.begin() as connection:
            assert [item.portfolio_id for item in read_portfolios(connection)] == [second.portfolio_id]

    @pytest.mark.parametrize(("as_of", "kept"), [(DAYS[1], DAYS[1:]), (DAYS[0], DAYS), (AS_OF - timedelta(9), DAYS)])
    def test_another_first_session_leaves_nothing_before_it(
        self, database: Database, books: tuple[PortfolioRecord, PortfolioRecord], as_of: date, kept: list[date]
    ) -> None:
        for book in books:
            publish(database, book)
        with database.begin() as connection:
            restate_equity(connection, books[0].portfolio_id, equity=Decimal("-0.00000001"), as_of=as_of)
            stored = require_portfolio(connection, books[0].public_id)
        assert (stored.stated_equity, stored.as_of, stored.stale_from) == (Decimal("-0.00000001"), as_of, as_of)
        assert stored.book_version == books[0].book_version + 1
        assert published(database, books[0]) == [kept] * 4
        assert published(database, books[1]) == [DAYS] * 4

    def test_one_that_is_left_out_is_tried_again_with_another_equity(
        self, database: Database, books: tuple[PortfolioRecord, PortfolioRecord]
    ) -> None:
        with database.begin() as connection:
            connection.execute(sa.update(portfolios).values(stale_from=None, left_out_from=DAYS[0]))
            restate_equity(connection, books[0].portfolio_id, equity=Decimal(1), as_of=DAYS[1])
            rows = connection.execute(
                sa.select(portfolios.c.stale_from, portfolios.c.left_out_from).order_by(portfolios.c.portfolio_id)
            )
            assert [tuple(row) for row in rows] == [(DAYS[1], None), (None, DAYS[0])]

    def test_a_name_is_changed_unless_it_is_taken(
        self, database: Database, books: tuple[PortfolioRecord, PortfolioRecord]
    ) -> None:
        first, second = books
        with database.begin() as connection:
            connection.execute(
                sa.update(portfolios)
                .where(portfolios.c.user_id == second.user_id)
                .values(user_id=first.user_id, name="Other")
            )
            rename_portfolio(connection, first.portfolio_id, "Renamed")
        before = contents(database)
        with (
            pytest.raises(NameTakenError, match="There is a portfolio named 'Other' already"),
            database.begin() as connection,
        ):
            rename_portfolio(connection, first.portfolio_id, "Other")
        assert contents(database) == before

    def test_it_waits_for_snapshots_that_are_being_written(
        self, database: Database, books: tuple[PortfolioRecord, PortfolioRecord]
    ) -> None:
        first, _ = books
        begun = Event()

        def delete() -> None:
            with database.begin() as connection:
                begun.set()
                wait_for_snapshots(connection)
                delete_portfolio(connection, first.portfolio_id)

        with ThreadPoolExecutor(1) as pool:
            with database.bulk() as transaction:
                lock_layer(transaction, "portfolio")
                waiting = pool.submit(delete)
                begun.wait()
                publish(database, first)
                assert not waiting.done()
            waiting.result()
        assert published(database, first) == [[]] * 4


class TestFlows:
    @pytest.fixture
    def book(self, books: tuple[PortfolioRecord, PortfolioRecord]) -> PortfolioRecord:
        return books[0]

    def test_flows_are_listed_by_date(self, database: Database, book: PortfolioRecord) -> None:
        with database.begin() as connection:
            made = [
                add_capital_flow(connection, book.portfolio_id, flow_date=day, amount=Decimal(place + 1))
                for place, day in enumerate((DAYS[2], DAYS[1], DAYS[2]))
            ]
            assert read_flows(connection, book.portfolio_id) == ([made[1], made[0], made[2]], 3)
            assert read_flows(connection, book.portfolio_id, limit=1, offset=1) == ([made[0]], 3)

    def test_a_flow_is_taken_back_by_its_own_portfolio_only(
        self, database: Database, books: tuple[PortfolioRecord, PortfolioRecord]
    ) -> None:
        first, second = books
        with database.begin() as connection:
            flow = add_capital_flow(connection, first.portfolio_id, flow_date=DAYS[1], amount=Decimal(5))
            connection.execute(sa.update(portfolios).values(stale_from=None))
        for portfolio_id, wanted in ((second.portfolio_id, flow.public_id), (first.portfolio_id, uuid4())):
            with pytest.raises(NotFoundError, match="There is no such capital flow"), database.begin() as connection:
                delete_flow(connection, portfolio_id, wanted)
        with database.begin() as connection:
            delete_flow(connection, first.portfolio_id, flow.public_id)
            assert read_flows(connection, first.portfolio_id) == ([], 0)
            assert require_portfolio(connection, first.public_id).stale_from == DAYS[1]
