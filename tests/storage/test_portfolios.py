"""Tests of owners' books: stored whole or not at all, every edit counted and dated."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from sigmasight_assets.errors import NameTakenError, NotFoundError
from sigmasight_assets.storage.book_tables import portfolios
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import (
    NewLot,
    PortfolioRecord,
    add_capital_flow,
    create_portfolio,
    mark_edited,
    read_book_marks,
    read_held_symbols,
    read_investment_classes,
    read_lots,
    read_portfolios,
    require_portfolio,
)
from tests.contents import contents

AS_OF = date(2025, 6, 27)
EARLIER, LATER = AS_OF - timedelta(10), AS_OF + timedelta(10)
LOTS = [
    NewLot("AAA", Decimal("10.0001"), Decimal("100.5"), EARLIER),
    NewLot(
        "BBB", Decimal(-99_999_999_999_999), Decimal("9999999999.9999"), AS_OF, Decimal(0), LATER, notes="gone, 'so'"
    ),
    NewLot("AAA", Decimal(-1), Decimal("0.0001"), LATER),
]


def create(
    database: Database,
    *,
    user: str = "ann",
    name: str = "Main",
    equity: Decimal = Decimal("1000.12345678"),
    as_of: date = AS_OF,
    lots: list[NewLot] | None = None,
) -> PortfolioRecord:
    with database.begin() as connection:
        return create_portfolio(
            connection, user=user, name=name, equity=equity, as_of=as_of, lots=LOTS if lots is None else lots
        )


def reread(database: Database, portfolio: PortfolioRecord) -> PortfolioRecord:
    with database.begin() as connection:
        return require_portfolio(connection, portfolio.public_id)


def settle(database: Database) -> None:
    """As the portfolio layer leaves books whose snapshots are current."""
    with database.begin() as connection:
        connection.execute(sa.update(portfolios).values(stale_from=None))


class TestCreation:
    def test_a_portfolio_is_stored_with_its_lots(self, database: Database) -> None:
        portfolio = create(database)
        assert (portfolio.owner, portfolio.name, portfolio.stated_equity) == ("ann", "Main", Decimal("1000.12345678"))
        assert (portfolio.as_of, portfolio.book_version, portfolio.stale_from) == (AS_OF, 1, AS_OF)
        with database.begin() as connection:
            lots = read_lots(connection, portfolio.portfolio_id)
        fields = NewLot.__dataclass_fields__
        assert [NewLot(**{name: getattr(lot, name) for name in fields}) for lot in lots] == LOTS
        assert len({lot.public_id for lot in lots}) == len({lot.position_id for lot in lots}) == 3

    def test_it_may_be_empty(self, database: Database) -> None:
        portfolio = create(database, lots=[], equity=Decimal(-5))
        with database.begin() as connection:
            assert read_lots(connection, portfolio.portfolio_id) == []

    @pytest.mark.parametrize(
        "wrong",
        [
            NewLot("AAA", Decimal(0), Decimal(1), AS_OF),
            NewLot("AAA", Decimal(10) ** 14, Decimal(1), AS_OF),
            NewLot("AAA", Decimal("NaN"), Decimal(1), AS_OF),
            NewLot("AAA", Decimal(1), Decimal(1), AS_OF, Decimal(1), EARLIER),
            NewLot("AAA", Decimal(1), Decimal(1), AS_OF, investment_class="SHARES"),
        ],
    )
    def test_one_wrong_lot_keeps_everything_out(self, database: Database, wrong: NewLot) -> None:
        before = contents(database)
        with pytest.raises(DBAPIError):
            create(database, user="new", lots=[*LOTS, wrong])
        assert contents(database) == before

    def test_a_name_is_taken_once_by_an_owner(self, database: Database) -> None:
        create(database)
        before = contents(database)
        with pytest.raises(NameTakenError, match="There is a portfolio named 'Main' already; choose another name"):
            create(database)
        assert contents(database) == before
        create(database, user="bob")
        create(database, name="Second")

    def test_two_at_once_are_one_portfolio_and_one_refusal(self, database: Database) -> None:
        def attempt(_: int) -> str:
            try:
                return create(database).name
            except NameTakenError as error:
                return str(error)

        with ThreadPoolExecutor(4) as pool:
            answers = sorted(pool.map(attempt, range(4)))
        assert answers[0] == "Main"
        assert answers[1:] == ["There is a portfolio named 'Main' already; choose another name"] * 3


class TestEdits:
    @pytest.mark.parametrize("start", [None, AS_OF, LATER, LATER + timedelta(5)])
    @pytest.mark.parametrize("edited", [EARLIER, AS_OF, AS_OF + timedelta(1), LATER, LATER + timedelta(50)])
    def test_snapshots_are_stale_from_the_earliest_edit_and_never_before_the_first(
        self, database: Database, start: date | None, edited: date
    ) -> None:
        portfolio = create(database)
        with database.begin() as connection:
            connection.execute(sa.update(portfolios).values(stale_from=start))
            mark_edited(connection, portfolio.portfolio_id, edited_from=edited)
        after = reread(database, portfolio)
        assert after.stale_from == max(AS_OF, edited if start is None else min(start, edited))
        assert after.book_version == 2

    @pytest.mark.parametrize("stale", [None, AS_OF, LATER + timedelta(9)])
    @pytest.mark.parametrize("left_out", [EARLIER, AS_OF, LATER])
    @pytest.mark.parametrize("edited", [EARLIER, LATER, LATER + timedelta(50)])
    def test_one_that_is_left_out_waits_from_there_on_at_the_latest(
        self, database: Database, stale: date | None, left_out: date, edited: date
    ) -> None:
        portfolio = create(database)
        with database.begin() as connection:
            connection.execute(sa.update(portfolios).values(stale_from=stale, left_out_from=left_out))
            mark_edited(connection, portfolio.portfolio_id, edited_from=edited)
            marks = connection.execute(sa.select(portfolios.c.stale_from, portfolios.c.left_out_from)).one()
        assert tuple(marks) == (max(AS_OF, min(left_out, edited, stale or edited)), None)

    def test_a_flow_is_an_edit_of_its_date(self, database: Database) -> None:
        portfolio, other = create(database), create(database, user="bob")
        settle(database)
        with database.begin() as connection:
            add_capital_flow(connection, portfolio.portfolio_id, flow_date=LATER, amount=Decimal("-0.00000001"))
            add_capital_flow(connection, portfolio.portfolio_id, flow_date=LATER + timedelta(1), amount=Decimal(5))
        after = reread(database, portfolio)
        assert (after.stale_from, after.book_version) == (LATER, 3)
        assert (reread(database, other).stale_from, reread(database, other).book_version) == (None, 1)
        with database.begin() as connection:
            flows = connection.execute(sa.text("SELECT flow_date, amount FROM capital_flows ORDER BY flow_id"))
            assert [tuple(row) for row in flows] == [
                (LATER, Decimal("-0.00000001")),
                (LATER + timedelta(1), Decimal("5.00000000")),
            ]

    @pytest.mark.parametrize("amount", [Decimal(0), Decimal("NaN")])
    def test_a_flow_that_is_refused_is_no_edit(self, database: Database, amount: Decimal) -> None:
        portfolio = create(database)
        settle(database)
        before = contents(database)
        with pytest.raises(DBAPIError), database.begin() as connection:
            add_capital_flow(connection, portfolio.portfolio_id, flow_date=LATER, amount=amount)
        assert contents(database) == before

    def test_edits_of_two_at_once_are_both_counted(self, database: Database) -> None:
        portfolio = create(database)

        def edit(_: int) -> None:
            with database.begin() as connection:
                mark_edited(connection, portfolio.portfolio_id, edited_from=LATER)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(edit, range(8)))
        assert reread(database, portfolio).book_version == 9


class TestReading:
    def test_portfolios_by_every_key(self, database: Database) -> None:
        main, second, bobs = create(database), create(database, name="A second"), create(database, user="bob")
        with database.begin() as connection:
            assert read_portfolios(connection) == [second, main, bobs]
            assert read_portfolios(connection, user_id=main.user_id) == [second, main]
            assert read_portfolios(connection, portfolio_id=bobs.portfolio_id) == [bobs]
            assert read_portfolios(connection, user_id=bobs.user_id, public_id=main.public_id) == []
            assert require_portfolio(connection, second.public_id) == second

    def test_an_unknown_one_is_named(self, database: Database) -> None:
        create(database)
        unknown = uuid4()
        with (
            pytest.raises(NotFoundError, match=f"There is no portfolio {unknown}"),
            database.begin() as connection,
        ):
            require_portfolio(connection, unknown)

    @pytest.mark.parametrize("day", [EARLIER - timedelta(1), EARLIER, AS_OF, LATER - timedelta(1), LATER])
    def test_lots_held_at_the_end_of_a_date(self, database: Database, day: date) -> None:
        portfolio = create(database)
        with database.begin() as connection:
            held = read_lots(connection, portfolio.portfolio_id, open_at=day)
        assert [(lot.symbol, lot.entry_date) for lot in held] == [
            (lot.symbol, lot.entry_date)
            for lot in LOTS
            if lot.entry_date <= day and (lot.exit_date is None or lot.exit_date > day)
        ]

    def test_held_symbols_are_those_that_snapshots_value_at_a_market_price(self, database: Database) -> None:
        create(database)
        other = [
            NewLot("CCC", Decimal(1), Decimal(1), AS_OF),
            NewLot("OPT", Decimal(1), Decimal(1), AS_OF, investment_class="OPTIONS"),
            NewLot("OWN", Decimal(1), Decimal(1), AS_OF, investment_class="PRIVATE"),
            # Sold before the first snapshot is taken, and bought and sold between two.
            NewLot("SOLD", Decimal(1), Decimal(1), EARLIER, Decimal(1), AS_OF),
            NewLot("DAY", Decimal(1), Decimal(1), LATER, Decimal(1), LATER),
        ]
        create(database, user="bob", lots=other)
        with database.begin() as connection:
            held = read_held_symbols(connection)
        assert held == {"AAA": "PUBLIC", "BBB": "PUBLIC", "CCC": "PUBLIC", "OPT": "OPTIONS"}

    def test_marks_of_edited_books(self, database: Database) -> None:
        with database.begin() as connection:
            assert read_book_marks(connection) == (None, [])
        first, second = create(database), create(database, user="bob", as_of=EARLIER)
        settle(database)
        with database.begin() as connection:
            assert read_book_marks(connection) == (EARLIER, [])
            mark_edited(connection, first.portfolio_id, edited_from=LATER)
            assert read_book_marks(connection) == (EARLIER, [(first.portfolio_id, 2, LATER)])
            connection.execute(sa.update(portfolios).values(left_out_from=AS_OF))
            assert read_book_marks(connection) == (EARLIER, [(first.portfolio_id, 2, AS_OF)])
        assert second.as_of == EARLIER
        assert reread(database, second).stale_from == AS_OF


def test_classes_are_those_of_open_lots(database: Database) -> None:
    held = [("AAA", "PUBLIC"), ("AAA", "OPTIONS"), ("BBB", "PUBLIC"), ("ELSE", "PUBLIC")]
    lots = [NewLot(symbol, Decimal(1), Decimal(1), EARLIER, investment_class=kind) for symbol, kind in held]
    create(database, lots=[*lots, NewLot("SOLD", Decimal(1), Decimal(1), EARLIER, Decimal(2), AS_OF)])
    with database.begin() as connection:
        found = read_investment_classes(connection, ["AAA", "BBB", "SOLD", "UNHEARD"])
    assert found == {"AAA": {"PUBLIC", "OPTIONS"}, "BBB": {"PUBLIC"}}
