"""Tests of edits of single lots: what is stored, from when on snapshots are stale, and what is refused."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from sigmasight_assets.errors import BookError, NotFoundError, StorageError
from sigmasight_assets.storage.book_tables import portfolios, positions, private_valuations
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.lots import (
    add_lot,
    add_valuation,
    close_lot,
    correct_lot,
    delete_lot,
    delete_valuation,
    require_lot,
)
from sigmasight_assets.storage.portfolios import NewLot, PortfolioRecord, StoredLot, read_lots
from tests.contents import contents
from tests.storage.lot_edits import (
    CALL,
    CONTRACT,
    ENTRY,
    EXIT,
    EXPIRY,
    HOUSE,
    LAST,
    SHARES,
    SHORT,
    close,
    hold,
    lots,
    stale_from,
    valuations,
)


class TestAdding:
    @pytest.mark.parametrize("lot", [SHARES, SHORT, CALL, HOUSE], ids=["long", "short", "option", "private"])
    def test_every_kind_is_stored_as_it_is(self, database: Database, book: PortfolioRecord, lot: NewLot) -> None:
        with database.begin() as connection:
            stored = add_lot(connection, book.portfolio_id, lot)
        assert NewLot(**{name: getattr(stored, name) for name in NewLot.__dataclass_fields__}) == lot
        assert lots(database, book) == [stored]
        assert stale_from(database, book) == ENTRY

    def test_only_private_lots_have_valuations(self, database: Database, book: PortfolioRecord) -> None:
        before = contents(database)
        lot = NewLot("AAA", Decimal(1), Decimal(1), ENTRY, market_value=Decimal(1), valued_on=ENTRY)
        with (
            pytest.raises(BookError, match="AAA: only PRIVATE lots have valuations, this one is PUBLIC"),
            database.begin() as connection,
        ):
            add_lot(connection, book.portfolio_id, lot)
        assert contents(database) == before

    def test_a_lot_is_found_by_its_id(self, database: Database, book: PortfolioRecord) -> None:
        stored = hold(database, book, HOUSE)
        unknown = uuid4()
        with database.begin() as connection:
            assert require_lot(connection, stored.public_id) == stored
        with pytest.raises(NotFoundError, match=f"There is no position {unknown}"), database.begin() as connection:
            require_lot(connection, unknown)


class TestClosing:
    @pytest.mark.parametrize("lot", [SHARES, SHORT, HOUSE], ids=["long", "short", "private"])
    @pytest.mark.parametrize("stated", [True, False])
    def test_a_whole_lot_keeps_everything_but_its_exit(
        self, database: Database, book: PortfolioRecord, lot: NewLot, stated: bool
    ) -> None:
        held = hold(database, book, lot)
        closed = close(database, held, str(abs(lot.quantity)) if stated else None)
        assert (closed.exit_date, closed.exit_price) == (EXIT, Decimal("120.25"))
        (only,) = lots(database, book)
        assert only == closed
        fields = [name for name in StoredLot.__dataclass_fields__ if not name.startswith("exit")]
        assert [getattr(closed, name) for name in fields] == [getattr(held, name) for name in fields]
        assert stale_from(database, book) == EXIT

    @pytest.mark.parametrize(("lot", "closed_part", "left"), [(SHARES, "4.0001", "6.4999"), (SHORT, "4", "-5")])
    def test_a_part_becomes_a_lot_of_its_own(
        self, database: Database, book: PortfolioRecord, lot: NewLot, closed_part: str, left: str
    ) -> None:
        held = hold(database, book, lot)
        closed = close(database, held, closed_part)
        kept, taken = lots(database, book)
        assert taken == closed
        assert (kept.public_id, kept.quantity, kept.exit_date) == (held.public_id, Decimal(left), None)
        assert (taken.quantity, taken.exit_date, taken.exit_price) == (
            lot.quantity - Decimal(left),
            EXIT,
            Decimal("120.25"),
        )
        for part in (kept, taken):
            assert (part.symbol, part.entry_price, part.entry_date, part.notes, part.units_date) == (
                *("AAA", Decimal("99.5"), ENTRY, lot.notes),
                None,
            )
        # The stored snapshots know one value of the whole lot.
        assert stale_from(database, book) == ENTRY

    def test_a_part_of_a_private_lot_takes_its_share_of_every_valuation(
        self, database: Database, book: PortfolioRecord
    ) -> None:
        held = hold(database, book, HOUSE)
        with database.begin() as connection:
            add_valuation(connection, held.position_id, valued_on=LAST, market_value=Decimal(50))
        taken = close(database, held, "1")
        assert valuations(database, taken) == [(ENTRY, Decimal("333.33333334")), (LAST, Decimal("16.66666667"))]
        assert valuations(database, held) == [(ENTRY, Decimal("666.66666667")), (LAST, Decimal("33.33333333"))]

    def test_what_is_left_can_be_closed_in_turn(self, database: Database, book: PortfolioRecord) -> None:
        held = hold(database, book, SHORT)
        for _ in range(3):
            close(database, held, "3")
        assert [(lot.quantity, lot.exit_date) for lot in lots(database, book)] == [(Decimal(-3), EXIT)] * 3

    def test_an_edit_waits_for_the_one_before_it(self, database: Database, book: PortfolioRecord) -> None:
        held = hold(database, book, SHARES)

        def close_impatiently() -> None:
            with database.begin() as connection:
                connection.execute(sa.text("SET LOCAL lock_timeout = '20ms'"))
                close_lot(connection, held.position_id, exit_date=EXIT, exit_price=Decimal(2))

        with database.begin() as connection:
            close_lot(connection, held.position_id, exit_date=EXIT, exit_price=Decimal(1))
            with pytest.raises(StorageError, match="is busy") as caught:
                close_impatiently()
        # It waits before it has read anything, not when it writes.
        assert isinstance(caught.value.__cause__, DBAPIError)
        assert str(caught.value.__cause__.statement).endswith("FOR UPDATE OF positions")

    def test_two_at_once_close_once(self, database: Database, book: PortfolioRecord) -> None:
        held = hold(database, book, SHARES)

        def attempt(_: int) -> str:
            try:
                return str(close(database, held).exit_date)
            except BookError as error:
                return str(error)

        with ThreadPoolExecutor(4) as pool:
            answers = sorted(pool.map(attempt, range(4)))
        assert answers == [str(EXIT), *[f"AAA: the position was closed on {EXIT}"] * 3]

    @pytest.mark.parametrize(
        ("lot", "changes", "message"),
        [
            (SHARES, {"exit_date": ENTRY - timedelta(1)}, "AAA: the exit of 2025-06-03 is before the entry of 2025-06"),
            (
                CALL,
                {"exit_date": EXPIRY + timedelta(1)},
                f"{CONTRACT}: the contract expired on 2025-06-20, before 2025",
            ),
            (SHARES, {"quantity": "10.5001"}, "AAA: 10.5001 are to be closed on 2025-06-22, when 10.5 were held"),
            (SHARES, {"quantity": "0"}, "AAA: 0 are to be closed on 2025-06-22, when 10.5 were held"),
            (SHARES, {"quantity": "-1"}, "AAA: the quantity to close -1 is not an amount of 0 or more"),
            (SHARES, {"quantity": "1.00001"}, "AAA: the quantity to close 1.00001 is not an amount of 0 or more with"),
            (SHARES, {"quantity": "NaN"}, "AAA: the quantity to close NaN is not an amount"),
            (SHARES, {"exit_price": Decimal("1.00001")}, "AAA: the exit price 1.00001 is not .* at most 4 decimal"),
            (SHARES, {"exit_price": Decimal(-1)}, "AAA: the exit price -1 is not an amount of 0 or more"),
        ],
    )
    def test_what_the_book_contradicts_is_refused(
        self, database: Database, book: PortfolioRecord, lot: NewLot, changes: dict[str, Any], message: str
    ) -> None:
        held = hold(database, book, lot)
        before = contents(database)
        with pytest.raises(BookError, match=message):
            close(database, held, **changes)
        assert contents(database) == before

    def test_an_option_may_be_closed_on_its_last_day(self, database: Database, book: PortfolioRecord) -> None:
        assert close(database, hold(database, book, CALL), exit_date=EXPIRY).exit_date == EXPIRY

    def test_an_unknown_lot_is_named(self, database: Database) -> None:
        with pytest.raises(NotFoundError, match="There is no position number 0"), database.begin() as connection:
            close_lot(connection, 0, exit_date=EXIT, exit_price=Decimal(1))


class TestValuations:
    def test_each_date_has_one_and_the_newest_counts(self, database: Database, book: PortfolioRecord) -> None:
        held = hold(database, book, HOUSE)
        with database.begin() as connection:
            for day, value in ((LAST, "7.00000001"), (EXIT, "5"), (LAST, "0")):
                add_valuation(connection, held.position_id, valued_on=day, market_value=Decimal(value))
        assert valuations(database, held) == [(ENTRY, Decimal("1000.00000001")), (EXIT, 5), (LAST, 0)]
        assert stale_from(database, book) == EXIT
        with database.begin() as connection:
            newest = [
                (lot.valued_on, lot.market_value)
                for day in (None, LAST, LAST - timedelta(1), ENTRY)
                for lot in read_lots(connection, book.portfolio_id, open_at=day)
            ]
        assert newest == [(LAST, 0), (LAST, 0), (EXIT, 5), (ENTRY, Decimal("1000.00000001"))]

    @pytest.mark.parametrize("is_removed", [False, True])
    def test_the_first_valuation_of_a_lot_without_entry_price_counts_from_its_entry(
        self, database: Database, book: PortfolioRecord, is_removed: bool
    ) -> None:
        held = hold(database, book, replace(HOUSE, valued_on=LAST))
        with database.begin() as connection:
            add_valuation(connection, held.position_id, valued_on=EXIT, market_value=Decimal(1))
            if is_removed:
                connection.execute(sa.update(portfolios).values(stale_from=None))
                delete_valuation(connection, held.position_id, valued_on=EXIT)
        assert stale_from(database, book) == ENTRY

    def test_a_valuation_is_an_edit_of_its_date(self, database: Database, book: PortfolioRecord) -> None:
        held = hold(database, book, HOUSE)
        with database.begin() as connection:
            add_valuation(connection, held.position_id, valued_on=LAST, market_value=Decimal(1))
        assert stale_from(database, book) == LAST

    @pytest.mark.parametrize(
        ("lot", "valuation", "message"),
        [
            (SHARES, (EXIT, "1"), "AAA: only PRIVATE positions have valuations, this one is PUBLIC"),
            (
                HOUSE,
                (ENTRY - timedelta(1), "1"),
                "A house: the valuation of 2025-06-03 is before the entry of 2025-06-04",
            ),
            (HOUSE, (EXIT + timedelta(1), "1"), "A house: the valuation of 2025-06-23 is after the exit of 2025-06-22"),
            (HOUSE, (EXIT, "-1"), "A house: the market value -1 is not an amount of 0 or more"),
            (HOUSE, (EXIT, "1.000000001"), "A house: the market value .* with at most 8 decimal places"),
            (HOUSE, (EXIT, "NaN"), "A house: the market value NaN is not an amount"),
        ],
    )
    def test_what_the_book_contradicts_is_refused(
        self, database: Database, book: PortfolioRecord, lot: NewLot, valuation: tuple[date, str], message: str
    ) -> None:
        held = close(database, hold(database, book, lot))
        before = contents(database)
        day, value = valuation
        with pytest.raises(BookError, match=message), database.begin() as connection:
            add_valuation(connection, held.position_id, valued_on=day, market_value=Decimal(value))
        assert contents(database) == before

    def test_deleting_is_an_edit_of_its_date(self, database: Database, book: PortfolioRecord) -> None:
        held = hold(database, book, HOUSE)
        with database.begin() as connection:
            add_valuation(connection, held.position_id, valued_on=LAST, market_value=Decimal(1))
            add_valuation(connection, held.position_id, valued_on=EXIT, market_value=Decimal(1))
            connection.execute(sa.update(portfolios).values(stale_from=None))
        with database.begin() as connection:
            delete_valuation(connection, held.position_id, valued_on=EXIT)
        assert [day for day, _ in valuations(database, held)] == [ENTRY, LAST]
        assert stale_from(database, book) == EXIT

    def test_the_only_one_and_one_that_is_not_there_are_refused(
        self, database: Database, book: PortfolioRecord
    ) -> None:
        held = hold(database, book, HOUSE)
        before = contents(database)
        for day, kind, message in (
            (ENTRY, BookError, "A house: the valuation of 2025-06-04 is the only one; enter another first"),
            (EXIT, NotFoundError, "A house has no valuation of 2025-06-22"),
        ):
            with pytest.raises(kind, match=message), database.begin() as connection:
                delete_valuation(connection, held.position_id, valued_on=day)
        assert contents(database) == before


class TestCorrecting:
    @pytest.mark.parametrize(
        ("changes", "stale"),
        [
            ({"quantity": Decimal(-1)}, ENTRY),
            ({"entry_price": Decimal("0.0001")}, ENTRY),
            ({"units_date": EXIT}, ENTRY),
            ({"entry_date": ENTRY + timedelta(1)}, ENTRY),
            ({"entry_date": ENTRY - timedelta(1)}, ENTRY - timedelta(1)),
            ({"exit_date": EXIT, "exit_price": Decimal(0)}, EXIT),
            ({"notes": None}, None),
            ({}, None),
        ],
        ids=str,
    )
    def test_what_differs_is_stale_from_its_earliest_date(
        self, database: Database, book: PortfolioRecord, changes: dict[str, Any], stale: date | None
    ) -> None:
        lot = hold(database, book, SHARES)
        with database.begin() as connection:
            corrected = correct_lot(connection, lot.position_id, replace(SHARES, **changes))
        assert corrected == replace(lot, **changes)
        assert lots(database, book) == [corrected]
        assert stale_from(database, book) == stale

    def test_an_exit_is_moved_and_taken_back_from_the_earlier_date(
        self, database: Database, book: PortfolioRecord
    ) -> None:
        lot = hold(database, book, replace(SHARES, exit_date=EXIT, exit_price=Decimal(1)))
        with database.begin() as connection:
            correct_lot(connection, lot.position_id, replace(SHARES, exit_date=LAST, exit_price=Decimal(1)))
        assert stale_from(database, book) == EXIT
        with database.begin() as connection:
            assert correct_lot(connection, lot.position_id, SHARES).exit_date is None
        assert stale_from(database, book) == EXIT

    def test_symbol_class_and_valuations_stay(self, database: Database, book: PortfolioRecord) -> None:
        house = hold(database, book, HOUSE)
        other = replace(
            HOUSE, symbol="Other", investment_class="PUBLIC", entry_price=Decimal(1), market_value=Decimal(5)
        )
        with database.begin() as connection:
            assert correct_lot(connection, house.position_id, other) == replace(house, entry_price=Decimal(1))

    @pytest.mark.parametrize(
        "dates", [{"entry_date": ENTRY + timedelta(1)}, {"exit_date": LAST, "exit_price": Decimal(1)}], ids=str
    )
    def test_a_valuation_outside_is_refused(
        self, database: Database, book: PortfolioRecord, dates: dict[str, Any]
    ) -> None:
        house = hold(database, book, HOUSE)
        with database.begin() as connection:
            add_valuation(connection, house.position_id, valued_on=LAST + timedelta(1), market_value=Decimal(1))
        before = contents(database)
        with pytest.raises(BookError, match="A house: its valuation of"), database.begin() as connection:
            correct_lot(connection, house.position_id, replace(HOUSE, **dates))
        assert contents(database) == before


class TestDeleting:
    def test_a_lot_goes_with_its_valuations_from_its_entry_on(self, database: Database, book: PortfolioRecord) -> None:
        first, second = hold(database, book, HOUSE), hold(database, book, SHARES)
        with database.begin() as connection:
            delete_lot(connection, first.position_id)
            counts = [
                connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for table in (positions, private_valuations)
            ]
        assert counts == [1, 0]
        assert lots(database, book) == [second]
        assert stale_from(database, book) == ENTRY

    def test_an_unknown_lot_is_named(self, database: Database) -> None:
        with pytest.raises(NotFoundError, match="There is no position number 0"), database.begin() as connection:
            delete_lot(connection, 0)
